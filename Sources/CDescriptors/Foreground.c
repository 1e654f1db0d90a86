/* SPDX-License-Identifier: MIT */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "CDescriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* What a shell or a batch system sends to a command, and SIGCHLD, which says that the command stopped or ended. */
static const int relayed[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,  SIGUSR2, SIGTSTP,
                              SIGTTIN, SIGTTOU, SIGCONT, SIGWINCH, SIGALRM, SIGCHLD};
enum { relayed_count = sizeof relayed / sizeof relayed[0] };

/* The actions that this process was started with, for its children; written before there are threads. */
static struct sigaction inherited[relayed_count], inherited_sigpipe;
static int is_caught[relayed_count], is_sigpipe_changed;
static int relay_writing = -1;

struct caught_signal {
    int number, from_process;
};

int descriptors_ignore_sigpipe(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_IGN;
    int result = sigaction(SIGPIPE, &action, is_sigpipe_changed ? NULL : &inherited_sigpipe);
    if (result == 0) is_sigpipe_changed = 1;
    return result;
}

static void catch_signal(int number, siginfo_t *information, void *context) {
    (void)context;
    int kept = errno;
#if defined(__APPLE__)
    int from_process = information->si_pid != 0;
#else
    int from_process = information->si_code <= 0; /* SI_USER, SI_TKILL, SI_QUEUE; the terminal's are SI_KERNEL */
#endif
    struct caught_signal caught = {number, from_process};
    /* A full pipe means hundreds of signals that nobody has read: the same are in it already. */
    if (write(relay_writing, &caught, sizeof caught) < 0) { /* nothing to do about it here */
    }
    errno = kept;
}

static int catch(int number) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = catch_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigfillset(&action.sa_mask);
    return sigaction(number, &action, NULL);
}

int descriptors_relay_start(int keeps_terminal_output) {
    int reading = -1;
    if (descriptors_pipe(&reading, &relay_writing) < 0) return -1;
    if (fcntl(relay_writing, F_SETFL, O_NONBLOCK) < 0) return -1;
    for (int index = 0; index < relayed_count; index++) {
        if (sigaction(relayed[index], NULL, &inherited[index]) < 0) return -1;
        if (relayed[index] == SIGTTOU && keeps_terminal_output) continue;
        /* What nohup(1) or a shell made this process ignore, the command ignores too. */
        if (inherited[index].sa_handler == SIG_IGN && relayed[index] != SIGCHLD) continue;
        if (catch(relayed[index]) < 0) return -1;
        is_caught[index] = 1;
    }
    return reading;
}

int descriptors_relay_next(int relay, int *number, int *from_process) {
    struct caught_signal caught;
    ssize_t count;
    do count = read(relay, &caught, sizeof caught);
    while (count < 0 && errno == EINTR);
    if (count != sizeof caught) return 0;
    *number = caught.number;
    *from_process = caught.from_process;
    return 1;
}

void descriptors_relay_act(int number) {
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    if (number != SIGTSTP && number != SIGTTIN && number != SIGTTOU) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none); /* the command has left its own, if any */
    }
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, number);
    sigaction(number, &action, &before);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    kill(getpid(), number);
    sigaction(number, &before, NULL);
}

static void restore_signals(void) {
    for (int index = 0; index < relayed_count; index++)
        if (is_caught[index]) sigaction(relayed[index], &inherited[index], NULL);
    if (is_sigpipe_changed) sigaction(SIGPIPE, &inherited_sigpipe, NULL);
}

/* A descriptor that stays open in the new program; one that has its number already loses close-on-exec. */
static int give(int descriptor, int number) {
    if (descriptor < 0) return 0;
    if (descriptor == number) return fcntl(number, F_SETFD, 0);
    return dup2(descriptor, number);
}

int descriptors_relay_spawn(const char *file, char *const *arguments, int input, int output, int error,
                            int new_session, int32_t *process) {
    int reading = -1, writing = -1;
    if (descriptors_pipe(&reading, &writing) < 0) return errno;
    if (fcntl(reading, F_SETFL, 0) < 0) return errno;
    pid_t made = fork();
    if (made == 0) {
        restore_signals();
        if ((!new_session || setsid() >= 0) && give(input, 0) >= 0 && give(output, 1) >= 0 && give(error, 2) >= 0)
            execvp(file, arguments);
        int failure = errno;
        if (write(writing, &failure, sizeof failure) < 0) _exit(126);
        _exit(127);
    }
    int failure = made < 0 ? errno : 0;
    close(writing);
    if (made > 0) {
        /* The pipe ends with the success of execvp(3). */
        ssize_t count;
        do count = read(reading, &failure, sizeof failure);
        while (count < 0 && errno == EINTR);
        if (count == sizeof failure) {
            while (waitpid(made, NULL, 0) < 0 && errno == EINTR) {
            }
        } else {
            failure = 0;
        }
        *process = made;
    }
    close(reading);
    return failure;
}

int descriptors_relay_replace(const char *file, char *const *arguments) {
    restore_signals();
    execvp(file, arguments);
    return errno;
}

int descriptors_relay_check(int32_t process, int *value) {
    int status = 0;
    pid_t found;
    do found = waitpid(process, &status, WNOHANG | WUNTRACED);
    while (found < 0 && errno == EINTR);
    if (found <= 0) return found;
    if (WIFEXITED(status)) return *value = WEXITSTATUS(status), 1;
    if (WIFSIGNALED(status)) return *value = WTERMSIG(status), 2;
    if (WIFSTOPPED(status)) return *value = WSTOPSIG(status), 3;
    return 0;
}

int descriptors_wait_either(int first, int second, int milliseconds) {
    struct pollfd both[2] = {{first, POLLIN, 0}, {second, POLLIN, 0}};
    int count = poll(both, 2, milliseconds);
    if (count < 0) return -1;
    return (both[0].revents != 0 ? 1 : 0) | (both[1].revents != 0 ? 2 : 0);
}

int descriptors_pipe(int *reading, int *writing) {
    int ends[2];
#if defined(__APPLE__)
    if (pipe(ends) < 0) return -1;
    if (fcntl(ends[0], F_SETFD, FD_CLOEXEC) < 0 || fcntl(ends[1], F_SETFD, FD_CLOEXEC) < 0) return -1;
#else
    if (pipe2(ends, O_CLOEXEC) < 0) return -1;
#endif
    *reading = ends[0];
    *writing = ends[1];
    return fcntl(ends[0], F_SETFL, O_NONBLOCK);
}

int descriptors_write_all(int descriptor, const void *bytes, size_t count) {
    const char *next = bytes;
    while (count > 0) {
        ssize_t written = write(descriptor, next, count);
        if (written >= 0) {
            next += written;
            count -= (size_t)written;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            struct pollfd one = {descriptor, POLLOUT, 0};
            poll(&one, 1, -1);
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

int descriptors_terminal_copy_size(int from, int to) {
    struct winsize size;
    memset(&size, 0, sizeof size);
    return ioctl(from, TIOCGWINSZ, &size) < 0 ? -1 : ioctl(to, TIOCSWINSZ, &size);
}

int descriptors_terminal_open(int like, int *controlling, int *terminal) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0) return -1;
    int slave = -1;
    char *name = NULL;
    if (grantpt(master) == 0 && unlockpt(master) == 0) name = ptsname(master);
    if (name != NULL) slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios mode;
    if (slave >= 0 && tcgetattr(slave, &mode) == 0) {
        mode.c_oflag &= ~(tcflag_t)OPOST; /* the real terminal does that */
        if (tcsetattr(slave, TCSANOW, &mode) == 0 && fcntl(master, F_SETFD, FD_CLOEXEC) == 0 &&
            fcntl(master, F_SETFL, O_NONBLOCK) == 0) {
            descriptors_terminal_copy_size(like, slave);
            *controlling = master;
            *terminal = slave;
            return 0;
        }
    }
    int kept = errno;
    if (slave >= 0) close(slave);
    close(master);
    errno = kept;
    return -1;
}
