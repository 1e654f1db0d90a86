/* SPDX-License-Identifier: MIT */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "CDescriptors.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <crt_externs.h>
#include <mach-o/dyld.h>
#include <mach/mach.h>
#include <sys/sysctl.h>
#else
#include <sched.h>
extern char **environ;
#endif

struct string_list {
    char **strings; /* ended by NULL once something was added */
    size_t count;
};

struct descriptors_spawn_request {
    char *executable;
    struct string_list arguments, environment;
    int32_t *children, *parents;
    size_t descriptor_count;
    char *working_directory;
    int out_of_memory;
};

static int append_string(struct string_list *list, const char *text) {
    char **moved = realloc(list->strings, (list->count + 2) * sizeof *moved);
    if (moved == NULL) return -1;
    list->strings = moved;
    moved[list->count] = text == NULL ? NULL : strdup(text);
    if (text == NULL) return 0;
    if (moved[list->count] == NULL) return -1;
    moved[++list->count] = NULL;
    return 0;
}

static void free_strings(struct string_list *list) {
    for (size_t index = 0; index < list->count; index++) free(list->strings[index]);
    free(list->strings);
}

descriptors_spawn_request *descriptors_spawn_request_new(const char *executable) {
    descriptors_spawn_request *made = calloc(1, sizeof *made);
    if (made == NULL) return NULL;
    made->executable = strdup(executable);
    if (made->executable == NULL || append_string(&made->arguments, executable) < 0 ||
        append_string(&made->environment, NULL) < 0) {
        descriptors_spawn_request_free(made);
        return NULL;
    }
    return made;
}

void descriptors_spawn_request_add_argument(descriptors_spawn_request *request, const char *argument) {
    if (append_string(&request->arguments, argument) < 0) request->out_of_memory = 1;
}

void descriptors_spawn_request_add_variable(descriptors_spawn_request *request, const char *assignment) {
    if (append_string(&request->environment, assignment) < 0) request->out_of_memory = 1;
}

void descriptors_spawn_request_add_descriptor(descriptors_spawn_request *request, int32_t child, int32_t parent) {
    size_t size = (request->descriptor_count + 1) * sizeof(int32_t);
    int32_t *children = realloc(request->children, size);
    if (children != NULL) request->children = children;
    int32_t *parents = realloc(request->parents, size);
    if (parents != NULL) request->parents = parents;
    if (children == NULL || parents == NULL) {
        request->out_of_memory = 1;
        return;
    }
    children[request->descriptor_count] = child;
    parents[request->descriptor_count++] = parent;
}

void descriptors_spawn_request_set_directory(descriptors_spawn_request *request, const char *path) {
    free(request->working_directory);
    request->working_directory = strdup(path);
    if (request->working_directory == NULL) request->out_of_memory = 1;
}

void descriptors_spawn_request_free(descriptors_spawn_request *request) {
    free_strings(&request->arguments);
    free_strings(&request->environment);
    free(request->children);
    free(request->parents);
    free(request->working_directory);
    free(request->executable);
    free(request);
}

static int is_wanted(const descriptors_spawn_request *request, int number) {
    for (size_t index = 0; index < request->descriptor_count; index++)
        if (request->children[index] == number) return 1;
    return 0;
}

/* `lifted` are duplicates above every child number, so that no dup2 overwrites the source of a later one. */
static int describe_descriptors(posix_spawn_file_actions_t *actions, const descriptors_spawn_request *request,
                                const int *lifted, int highest) {
    int error = 0;
    for (size_t index = 0; index < request->descriptor_count && error == 0; index++)
        error = posix_spawn_file_actions_adddup2(actions, lifted[index], request->children[index]);
    /* A program started without its three standard descriptors would open its first file as one of them. */
    for (int number = 0; number <= 2 && error == 0; number++)
        if (!is_wanted(request, number))
            error = posix_spawn_file_actions_addopen(actions, number, "/dev/null", O_RDWR, 0);
#if !defined(__APPLE__)
    for (int number = 3; number <= highest && error == 0; number++)
        if (!is_wanted(request, number)) error = posix_spawn_file_actions_addclose(actions, number);
#if defined(__GLIBC__)
#if __GLIBC_PREREQ(2, 34)
    if (error == 0) error = posix_spawn_file_actions_addclosefrom_np(actions, highest + 1);
#endif
#endif
#else
    (void)highest; /* POSIX_SPAWN_CLOEXEC_DEFAULT closes what no action names */
#endif
    if (error == 0 && request->working_directory != NULL)
        error = posix_spawn_file_actions_addchdir_np(actions, request->working_directory);
    return error;
}

static int describe_process(posix_spawnattr_t *attributes, int new_session) {
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (new_session) flags |= POSIX_SPAWN_SETSID;
#if defined(__APPLE__)
    flags |= POSIX_SPAWN_CLOEXEC_DEFAULT;
#endif
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    int error = posix_spawnattr_setsigmask(attributes, &none);
    if (error == 0) error = posix_spawnattr_setsigdefault(attributes, &all);
    if (error == 0) error = posix_spawnattr_setflags(attributes, flags);
    return error;
}

static int spawn_with(const descriptors_spawn_request *request, int new_session, const int *lifted, int highest,
                      int32_t *process) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) return error;
    error = posix_spawnattr_init(&attributes);
    if (error != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return error;
    }
    error = describe_descriptors(&actions, request, lifted, highest);
    if (error == 0) error = describe_process(&attributes, new_session);
    if (error == 0) {
        pid_t made = 0;
        error = posix_spawn(&made, request->executable, &actions, &attributes, request->arguments.strings,
                            request->environment.strings);
        if (error == 0) *process = made;
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

int descriptors_spawn(const descriptors_spawn_request *request, int new_session, int32_t *process) {
    size_t count = request->descriptor_count, made = 0;
    int highest = 2, error = 0;
    for (size_t index = 0; index < count; index++)
        if (request->children[index] > highest) highest = request->children[index];

    int *lifted = calloc(count + 1, sizeof *lifted);
    if (request->out_of_memory || lifted == NULL) error = ENOMEM;
    while (made < count && error == 0) {
        lifted[made] = fcntl(request->parents[made], F_DUPFD_CLOEXEC, highest + 1);
        if (lifted[made] < 0)
            error = errno;
        else
            made++;
    }
    if (error == 0) error = spawn_with(request, new_session, lifted, highest, process);
    for (size_t index = 0; index < made; index++) close(lifted[index]);
    free(lifted);
    return error;
}

int32_t descriptors_wait(int32_t process, int block, int *signalled, int *value) {
    int status = 0;
    pid_t found = waitpid(process, &status, block ? 0 : WNOHANG);
    if (found > 0) {
        *signalled = WIFSIGNALED(status) ? 1 : 0;
        *value = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    }
    return found;
}

char **descriptors_environment(void) {
#if defined(__APPLE__)
    return *_NSGetEnviron();
#else
    return environ;
#endif
}

int descriptors_executable_path(char *buffer, size_t capacity) {
#if defined(__APPLE__)
    uint32_t size = capacity > UINT32_MAX ? UINT32_MAX : (uint32_t)capacity;
    if (_NSGetExecutablePath(buffer, &size) == 0) return 0;
#else
    ssize_t length = readlink("/proc/self/exe", buffer, capacity);
    if (length < 0) return -1;
    if ((size_t)length < capacity) {
        buffer[length] = 0;
        return 0;
    }
#endif
    errno = ENAMETOOLONG;
    return -1;
}

int descriptors_boot_identifier(char *buffer, size_t capacity) {
#if defined(__APPLE__)
    return sysctlbyname("kern.bootsessionuuid", buffer, &capacity, NULL, 0);
#else
    int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    ssize_t length = read(file, buffer, capacity - 1);
    int error = errno;
    close(file);
    if (length < 0) {
        errno = error;
        return -1;
    }
    while (length > 0 && buffer[length - 1] == '\n') length--;
    buffer[length] = 0;
    return 0;
#endif
}

int descriptors_terminal_width(int descriptor) {
    struct winsize size;
    memset(&size, 0, sizeof size);
    if (ioctl(descriptor, TIOCGWINSZ, &size) < 0) return -1;
    return size.ws_col;
}

int64_t descriptors_monotonic_nanoseconds(void) {
#if defined(__APPLE__)
    return (int64_t)clock_gettime_nsec_np(CLOCK_UPTIME_RAW);
#else
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
#endif
}

int64_t descriptors_thread_nanoseconds(void) {
    struct timespec used = {0, 0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used); /* cannot fail for this clock */
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

#if !defined(__APPLE__)
/* The processors on which this process may run, to be freed by CPU_FREE, and the size of the set; NULL on failure. */
static cpu_set_t *allowed_processors(size_t *size) {
    /* The kernel refuses a mask shorter than its own with EINVAL. */
    for (size_t processors = 1024; processors <= 1024 * 64; processors *= 4) {
        cpu_set_t *set = CPU_ALLOC(processors);
        if (set == NULL) return NULL;
        *size = CPU_ALLOC_SIZE(processors);
        CPU_ZERO_S(*size, set);
        if (sched_getaffinity(0, *size, set) == 0) return set;
        CPU_FREE(set);
        if (errno != EINVAL) return NULL;
    }
    return NULL;
}
#endif

int descriptors_allowed_processors(void) {
#if !defined(__APPLE__)
    size_t size;
    cpu_set_t *set = allowed_processors(&size);
    if (set != NULL) {
        int allowed = CPU_COUNT_S(size, set);
        CPU_FREE(set);
        if (allowed > 0) return allowed;
    }
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 && online < INT_MAX ? (int)online : 1;
}

int64_t descriptors_idle_nanoseconds(void) {
#if defined(__APPLE__)
    host_cpu_load_info_data_t load;
    mach_msg_type_number_t count = HOST_CPU_LOAD_INFO_COUNT;
    mach_port_t host = mach_host_self();
    kern_return_t result = host_statistics(host, HOST_CPU_LOAD_INFO, (host_info_t)&load, &count);
    mach_port_deallocate(mach_task_self(), host);
    if (result != KERN_SUCCESS) return -1;
    /* Ticks of 10 ms, 32 bits wide: whoever takes differences meets one that is negative about once a year. */
    return (int64_t)load.cpu_ticks[CPU_STATE_IDLE] * 10000000;
#else
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL) return -1;
    size_t size;
    cpu_set_t *set = allowed_processors(&size);
    int64_t ticks = -1;
    char line[512];
    while (fgets(line, sizeof line, file) != NULL && strncmp(line, "cpu", 3) == 0) {
        /* The first line is about all of them. */
        if (!isdigit((unsigned char)line[3])) continue;
        unsigned processor;
        int64_t idle, waiting;
        if (sscanf(line, "cpu%u %*d %*d %*d %" SCNd64 " %" SCNd64, &processor, &idle, &waiting) != 3) continue;
        if (set != NULL && !CPU_ISSET_S(processor, size, set)) continue;
        ticks = (ticks < 0 ? 0 : ticks) + idle + waiting;
    }
    if (set != NULL) CPU_FREE(set);
    fclose(file);
    return ticks < 0 ? -1 : ticks * (1000000000 / sysconf(_SC_CLK_TCK));
#endif
}

int64_t descriptors_raise_limit(int64_t cap) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -1;
    rlim_t wanted = limit.rlim_max == RLIM_INFINITY || limit.rlim_max > (rlim_t)cap ? (rlim_t)cap : limit.rlim_max;
#if defined(__APPLE__)
    if (wanted > OPEN_MAX) wanted = OPEN_MAX; /* setrlimit(2): larger values fail with EINVAL */
#endif
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= wanted)
        return limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > INT64_MAX ? INT64_MAX : (int64_t)limit.rlim_cur;
    limit.rlim_cur = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) return -1;
    return (int64_t)wanted;
}
