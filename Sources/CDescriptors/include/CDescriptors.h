/* SPDX-License-Identifier: MIT */

/*
 * The few system calls that Swift cannot spell: variadic functions, structures that differ between Linux and macOS,
 * calls newer than the headers, and macros. Functions return what the call returns, -1 with errno set on failure,
 * unless their comment says otherwise. None of them retries on EINTR: the Swift side does.
 */
#ifndef CDESCRIPTORS_H
#define CDESCRIPTORS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

/* --- Files ------------------------------------------------------------------------------------------------------ */

/** openat(2), whose mode argument is variadic. */
int descriptors_openat(int directory, const char *name, int flags, uint32_t mode);

/** futimens(2): sets the modification time, leaves the access time alone (UTIME_OMIT). */
void descriptors_open_standard_streams(void);
void descriptors_tune_allocator(void);
void descriptors_trim_memory(void);
int descriptors_wait_readable(int descriptor, int milliseconds);
int descriptors_set_modified(int descriptor, int64_t seconds, int32_t nanoseconds);
int descriptors_set_modified_at(int folder, const char *name, int64_t seconds, int32_t nanoseconds);

/** fsync(2), and on macOS F_FULLFSYNC, which also empties the drive's cache. */
int descriptors_sync_fully(int descriptor);

/** syncfs(2): everything that is dirty on the file system of the descriptor. macOS: as descriptors_sync_fully. */
int descriptors_sync_file_system(int descriptor);

/** lseek(2) with SEEK_DATA (hole = 0) or SEEK_HOLE (hole = 1). */
int64_t descriptors_seek(int descriptor, int64_t offset, int hole);

/** Asks the kernel to forget cached pages of the file, so that the next read comes from the device. */
int descriptors_drop_cache(int descriptor);

/** Says that the file will be read from front to back. */
int descriptors_advise_sequential(int descriptor);

/** flock(2) with LOCK_EX | LOCK_NB. */
int descriptors_lock_exclusively(int descriptor);

/* flock(LOCK_UN). */
int descriptors_unlock(int descriptor);
/** A second, close-on-exec number for the same open file: fcntl(2) F_DUPFD_CLOEXEC. */
int descriptors_duplicate(int descriptor);

/** Switches O_NONBLOCK on or off. */
int descriptors_set_nonblocking(int descriptor, int enabled);

/** Zeroed, page-aligned, private memory, or NULL with errno; given back by descriptors_unmap. */
void *_Nullable descriptors_map(size_t length);
void descriptors_unmap(void *start, size_t length);

/* --- Directories ------------------------------------------------------------------------------------------------ */

/**
 * Lists a directory without "." and "..".
 *
 * The buffer holds, for each entry, one byte of its d_type translated to the raw value of Swift's FileKind, its name,
 * and a NUL. The caller frees it with free(3).
 */
int descriptors_list(int directory, char *_Nullable *_Nonnull buffer, size_t *length);

/** Atomic rename that fails with EEXIST when the target exists: renameat2 RENAME_NOREPLACE, renameatx_np RENAME_EXCL. */
int descriptors_rename_exclusively(int from, const char *name, int to, const char *target);

/** Atomic swap of two names: renameat2 RENAME_EXCHANGE, renameatx_np RENAME_SWAP. */
int descriptors_exchange(int from, const char *name, int to, const char *target);

/** chmod(2) of a folder to 0700 when it cannot even be opened, without following a symbolic link. */
int descriptors_make_folder_accessible(int directory, const char *name);

struct descriptors_space {
    uint64_t total;      /* bytes */
    uint64_t available;  /* bytes that an ordinary user may still write */
    uint64_t free_nodes; /* files that may still be made; UINT64_MAX where the file system does not count them */
};

/** Space of the file system that holds the descriptor. */
int descriptors_file_system_space(int descriptor, struct descriptors_space *space);

/** 1 when the file system is reached over a network or FUSE, 0 when it is local, -1 on failure. */
int descriptors_is_network_file_system(int descriptor);

/* --- UNIX sockets ----------------------------------------------------------------------------------------------- */

/** Socket bound with mode 0600 and listening; non-blocking, close-on-exec. On macOS the umask is 0177 meanwhile. */
int descriptors_socket_listen(const char *path, int backlog);

/** Connected socket; non-blocking, close-on-exec. */
int descriptors_socket_connect(const char *path);

/** socketpair(2), close-on-exec. */
int descriptors_socket_pair(int nonblocking, int *first, int *second);

/** User id of the process at the other end: SO_PEERCRED or getpeereid(3). */
int descriptors_socket_peer_user(int descriptor, uint32_t *user);

/** A descriptor that can be read when something in the folder changes; -1 with ENOSYS where there is none (inotify). */
int descriptors_watch_folder(const char *path);

/* --- Processes -------------------------------------------------------------------------------------------------- */

/** What a new process gets. Strings are copied; running out of memory is kept and reported by descriptors_spawn. */
typedef struct descriptors_spawn_request descriptors_spawn_request;

descriptors_spawn_request *_Nullable descriptors_spawn_request_new(const char *executable);
void descriptors_spawn_request_add_argument(descriptors_spawn_request *request, const char *argument);
void descriptors_spawn_request_add_variable(descriptors_spawn_request *request, const char *assignment);
void descriptors_spawn_request_add_descriptor(descriptors_spawn_request *request, int32_t child, int32_t parent);
void descriptors_spawn_request_set_directory(descriptors_spawn_request *request, const char *path);
void descriptors_spawn_request_free(descriptors_spawn_request *request);

/** posix_spawn(3). Returns 0 or an error number; errno is not used. */
int descriptors_spawn(const descriptors_spawn_request *request, int new_session, int32_t *process);

/** waitpid(2). Returns the process, 0 when it still runs (only with block = 0), or -1. */
int32_t descriptors_wait(int32_t process, int block, int *signalled, int *value);

/** The environment block of this process, ended by NULL. */
char *_Nullable *_Nonnull descriptors_environment(void);

/** Path of the running executable, NUL-terminated. Fails with ENAMETOOLONG when it does not fit. */
int descriptors_executable_path(char *buffer, size_t capacity);

/** Identifier of this boot, NUL-terminated. */
int descriptors_boot_identifier(char *buffer, size_t capacity);

/** Ignores SIGPIPE, so that writing to a closed socket fails with EPIPE. */
int descriptors_ignore_sigpipe(void);

/* --- A wall around this thread and those it will make: Landlock (Landlock.c), ENOSYS elsewhere -------------------- */

/** What may be done below a place. KEEP is reading, writing, making and removing files, folders and symlinks. */
enum {
    DESCRIPTORS_WALL_READ_FILE, /* the place is a file */
    DESCRIPTORS_WALL_READ,
    DESCRIPTORS_WALL_KEEP,
    DESCRIPTORS_WALL_KEEP_WITH_SOCKETS
};

/** The version of the kernel's interface, at least 1; ENOSYS or EOPNOTSUPP where it has none. */
int descriptors_wall_version(void);

/** A wall that forbids all the version (at least 2) knows of: files, TCP, and signals and sockets beyond it. */
int descriptors_wall_begin(int version);

/** A place by its path, links followed, opened for nothing but to be named (O_PATH). */
int descriptors_wall_find(const char *path);

/** Allows a use of what is below a place. */
int descriptors_wall_allow(int wall, int version, int place, int use);

/** Raises it for good, and with it no_new_privs. What is open already stays usable. */
int descriptors_wall_raise(int wall);

/* --- A command in the foreground, in place of this process (Foreground.c) ----------------------------------------- */

/**
 * Catches the signals that are meant for a command in the foreground and returns a non-blocking descriptor that gets
 * them; what was ignored before stays ignored. Once in a process, before threads start. With keeps_terminal_output
 * SIGTTOU keeps its action.
 */
int descriptors_relay_start(int keeps_terminal_output);

/** The next caught signal: 1, or 0 when there is none. from_process is 0 for one that the terminal sent to all. */
int descriptors_relay_next(int relay, int *number, int *from_process);

/** Takes a signal's default action upon this process: stops it, or ends it without a core file. */
void descriptors_relay_act(int number);

/**
 * fork(2) and execvp(3) with the signal actions from before descriptors_relay_start and descriptors_ignore_sigpipe.
 * arguments end with NULL; a descriptor of -1 is inherited; everything without close-on-exec is inherited too.
 * Returns 0 or an error number, which is that of execvp(3) if that fails.
 */
int descriptors_relay_spawn(const char *file, char *const _Nullable *_Nonnull arguments, int input, int output,
                            int error, int new_session, int32_t *process);

/** execvp(3) in this process, with the same signal actions. Returns only when it fails: an error number. */
int descriptors_relay_replace(const char *file, char *const _Nullable *_Nonnull arguments);

/** waitpid(2) without waiting: 0 nothing new, 1 exited with value, 2 killed by value, 3 stopped by value, or -1. */
int descriptors_relay_check(int32_t process, int *value);

/** poll(2) of two descriptors, either of which may be -1. Returns bit 0 and bit 1 for what can be read, or -1. */
int descriptors_wait_either(int first, int second, int milliseconds);

/** pipe(2), close-on-exec; only the reading end does not block. */
int descriptors_pipe(int *reading, int *writing);

/** write(2) until all is written, waiting where a non-blocking descriptor takes nothing. 0 or -1. */
int descriptors_write_all(int descriptor, const void *bytes, size_t count);

/** A pseudo-terminal that passes output on unchanged and has the size of the terminal like; close-on-exec. */
int descriptors_terminal_open(int like, int *controlling, int *terminal);

/** Gives one terminal the size of another. */
int descriptors_terminal_copy_size(int from, int to);

/** Columns of the terminal, 0 when it does not know, -1 when the descriptor is no terminal. */
int descriptors_terminal_width(int descriptor);

/** Nanoseconds of a clock that never jumps and stops while the machine sleeps. */
int64_t descriptors_monotonic_nanoseconds(void);

/** Nanoseconds for which the calling thread had a core. */
int64_t descriptors_thread_nanoseconds(void);

/** Processors on which this process may run, at least 1. */
int descriptors_allowed_processors(void);

/** Nanoseconds since boot in which the processors on which this process may run (macOS: all) had nothing to do, summed
    over them; moves in steps of a clock tick. -1 where the system does not tell. */
int64_t descriptors_idle_nanoseconds(void);

/** Raises the soft limit of open descriptors to the hard one or the cap, and returns it. */
int64_t descriptors_raise_limit(int64_t cap);

#pragma clang assume_nonnull end

#endif
