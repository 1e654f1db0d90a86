/* SPDX-License-Identifier: MIT */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "CDescriptors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/inotify.h>
#endif

#if defined(__APPLE__)
#include <sys/mount.h>
#include <sys/param.h>
#else
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#endif

/* --- Files ------------------------------------------------------------------------------------------------------ */

int descriptors_openat(int directory, const char *name, int flags, uint32_t mode) {
    return openat(directory, name, flags, (mode_t)mode);
}

int descriptors_wait_readable(int descriptor, int milliseconds) {
    struct pollfd poller = {.fd = descriptor, .events = POLLIN, .revents = 0};
    return poll(&poller, 1, milliseconds);
}

void descriptors_open_standard_streams(void) {
    /* What is opened next must not become standard output: each closed number is taken by /dev/null. */
    for (int number = 0; number <= 2; number++) {
        if (fcntl(number, F_GETFD) == -1 && errno == EBADF && open("/dev/null", O_RDWR) == -1) return;
    }
}

void descriptors_tune_allocator(void) {
#if defined(__GLIBC__)
    /* Frame buffers of megabytes are mapped and given back one by one, and threads share two arenas: else what one
       thread frees stays in its arena while another maps anew. */
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

void descriptors_trim_memory(void) {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}

static void only_modified(struct timespec times[2], int64_t seconds, int32_t nanoseconds) {
    memset(times, 0, 2 * sizeof times[0]);
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_sec = (time_t)seconds;
    times[1].tv_nsec = nanoseconds;
}

int descriptors_set_modified(int descriptor, int64_t seconds, int32_t nanoseconds) {
    struct timespec times[2];
    only_modified(times, seconds, nanoseconds);
    return futimens(descriptor, times);
}

int descriptors_set_modified_at(int folder, const char *name, int64_t seconds, int32_t nanoseconds) {
    struct timespec times[2];
    only_modified(times, seconds, nanoseconds);
    return utimensat(folder, name, times, AT_SYMLINK_NOFOLLOW);
}

int descriptors_sync_fully(int descriptor) {
#if defined(__APPLE__)
    if (fcntl(descriptor, F_FULLFSYNC) == 0) return 0;
    /* Network volumes have no such command; that is not a failed write, so fsync may be asked instead. */
    if (errno != ENOTSUP && errno != ENOTTY && errno != EINVAL) return -1;
#endif
    return fsync(descriptor);
}

int descriptors_sync_file_system(int descriptor) {
#if defined(__APPLE__)
    return descriptors_sync_fully(descriptor);
#else
    if (syscall(SYS_syncfs, descriptor) == 0) return 0;
    if (errno != ENOSYS) return -1;
    sync(); /* waits on Linux; only kernels and sandboxes without syncfs come here */
    return fsync(descriptor);
#endif
}

int64_t descriptors_seek(int descriptor, int64_t offset, int hole) {
    return (int64_t)lseek(descriptor, (off_t)offset, hole ? SEEK_HOLE : SEEK_DATA);
}

int descriptors_drop_cache(int descriptor) {
#if defined(__APPLE__)
    /* No fadvise: new pages stay out of the cache by F_NOCACHE, those already there go by MS_INVALIDATE. */
    struct stat status;
    if (fcntl(descriptor, F_NOCACHE, 1) < 0 || fstat(descriptor, &status) < 0) return -1;
    if (status.st_size <= 0) return 0;
    void *start = mmap(NULL, (size_t)status.st_size, PROT_NONE, MAP_SHARED, descriptor, 0);
    if (start == MAP_FAILED) return -1;
    int result = msync(start, (size_t)status.st_size, MS_INVALIDATE);
    int error = errno;
    munmap(start, (size_t)status.st_size);
    errno = error;
    return result;
#else
    int error = posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    if (error == 0) return 0;
    errno = error;
    return -1;
#endif
}

int descriptors_advise_sequential(int descriptor) {
#if defined(__APPLE__)
    return fcntl(descriptor, F_RDAHEAD, 1);
#else
    int error = posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
    if (error == 0) return 0;
    errno = error;
    return -1;
#endif
}

int descriptors_lock_exclusively(int descriptor) {
    return flock(descriptor, LOCK_EX | LOCK_NB);
}

int descriptors_unlock(int descriptor) {
    return flock(descriptor, LOCK_UN);
}
int descriptors_duplicate(int descriptor) { return fcntl(descriptor, F_DUPFD_CLOEXEC, 3); }

int descriptors_set_nonblocking(int descriptor, int enabled) {
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0) return -1;
    return fcntl(descriptor, F_SETFL, enabled ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

void *descriptors_map(size_t length) {
    void *start = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    return start == MAP_FAILED ? NULL : start;
}

void descriptors_unmap(void *start, size_t length) {
    munmap(start, length);
}

/* --- Directories ------------------------------------------------------------------------------------------------ */

/* Raw values of FileKind in FileStatus.swift. */
static char file_kind(unsigned char type) {
    switch (type) {
    case DT_REG: return 0;
    case DT_DIR: return 1;
    case DT_LNK: return 2;
    case DT_FIFO: return 3;
    case DT_SOCK: return 4;
    case DT_CHR: return 5;
    case DT_BLK: return 6;
    default: return 7;
    }
}

static int append_entry(char **buffer, size_t *capacity, size_t *length, const struct dirent *entry) {
    size_t name_length = strlen(entry->d_name);
    size_t needed = *length + name_length + 2;
    if (needed > *capacity) {
        size_t larger = *capacity == 0 ? 4096 : *capacity;
        while (larger < needed) larger *= 2;
        char *moved = realloc(*buffer, larger);
        if (moved == NULL) return -1;
        *buffer = moved;
        *capacity = larger;
    }
    (*buffer)[*length] = file_kind(entry->d_type);
    memcpy(*buffer + *length + 1, entry->d_name, name_length + 1);
    *length = needed;
    return 0;
}

int descriptors_list(int directory, char **buffer, size_t *length) {
    /* A fresh description: a dup would share its position with every other listing of the same folder. */
    int own = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (own < 0) return -1;
    DIR *stream = fdopendir(own);
    if (stream == NULL) {
        int error = errno;
        close(own);
        errno = error;
        return -1;
    }
    char *bytes = NULL;
    size_t capacity = 0, used = 0;
    int error = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            error = errno;
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (append_entry(&bytes, &capacity, &used, entry) < 0) {
            error = ENOMEM;
            break;
        }
    }
    closedir(stream);
    if (error != 0) {
        free(bytes);
        errno = error;
        return -1;
    }
    *buffer = bytes;
    *length = used;
    return 0;
}

#if !defined(__APPLE__)
/* The wrapper came with glibc 2.28, the call with Linux 3.15. */
static int rename_with_flags(int from, const char *name, int to, const char *target, unsigned flags) {
#if defined(SYS_renameat2)
    return (int)syscall(SYS_renameat2, from, name, to, target, flags);
#else
    (void)from, (void)name, (void)to, (void)target, (void)flags;
    errno = ENOSYS;
    return -1;
#endif
}
#endif

int descriptors_rename_exclusively(int from, const char *name, int to, const char *target) {
#if defined(__APPLE__)
    return renameatx_np(from, name, to, target, RENAME_EXCL);
#else
    return rename_with_flags(from, name, to, target, 1u /* RENAME_NOREPLACE */);
#endif
}

int descriptors_exchange(int from, const char *name, int to, const char *target) {
#if defined(__APPLE__)
    return renameatx_np(from, name, to, target, RENAME_SWAP);
#else
    return rename_with_flags(from, name, to, target, 2u /* RENAME_EXCHANGE */);
#endif
}

int descriptors_make_folder_accessible(int directory, const char *name) {
#if defined(__APPLE__)
    return fchmodat(directory, name, 0700, AT_SYMLINK_NOFOLLOW);
#else
    /* Linux has no fchmodat without following before 6.6. O_PATH needs no permission on the folder itself, and the
       link in /proc leads to exactly that inode. */
    int path_only = openat(directory, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (path_only < 0) return -1;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", path_only);
    int result = chmod(link, 0700);
    int error = errno;
    close(path_only);
    errno = error;
    return result;
#endif
}

int descriptors_file_system_space(int descriptor, struct descriptors_space *space) {
#if defined(__APPLE__)
    /* statvfs counts blocks in 32 bits there. */
    struct statfs status;
    if (fstatfs(descriptor, &status) < 0) return -1;
    uint64_t unit = status.f_bsize;
    uint64_t nodes = status.f_files, free_nodes = status.f_ffree;
#else
    struct statvfs status;
    if (fstatvfs(descriptor, &status) < 0) return -1;
    uint64_t unit = status.f_frsize != 0 ? status.f_frsize : status.f_bsize;
    uint64_t nodes = status.f_files, free_nodes = status.f_favail;
#endif
    uint64_t total, available;
    if (__builtin_mul_overflow((uint64_t)status.f_blocks, unit, &total)) total = UINT64_MAX;
    if (__builtin_mul_overflow((uint64_t)status.f_bavail, unit, &available)) available = UINT64_MAX;
    space->total = total;
    space->available = available;
    space->free_nodes = nodes == 0 ? UINT64_MAX : free_nodes;
    return 0;
}

int descriptors_is_network_file_system(int descriptor) {
    struct statfs status;
    if (fstatfs(descriptor, &status) < 0) return -1;
#if defined(__APPLE__)
    return (status.f_flags & MNT_LOCAL) == 0;
#else
    switch ((uint32_t)status.f_type) {
    case 0x00006969u: /* NFS */
    case 0x0000517Bu: /* SMB */
    case 0xFF534D42u: /* CIFS */
    case 0xFE534D42u: /* SMB2 */
    case 0x0BD00BD0u: /* Lustre */
    case 0x47504653u: /* GPFS */
    case 0x65735546u: /* FUSE */
    case 0x5346414Fu: /* AFS */
    case 0x6B414653u: /* kAFS */
    case 0x73757245u: /* Coda */
    case 0x00C36400u: /* Ceph */
    case 0x19830326u: /* BeeGFS */
    case 0x20030528u: /* OrangeFS */
    case 0xAAD7AAEAu: /* PanFS */
    case 0x01021997u: /* 9P */
    case 0x01161970u: /* GFS2 */
    case 0x7461636Fu: /* OCFS2 */
        return 1;
    default:
        return 0;
    }
#endif
}

/* --- UNIX sockets ----------------------------------------------------------------------------------------------- */

static int close_with_error(int descriptor) {
    int error = errno;
    close(descriptor);
    errno = error;
    return -1;
}

#if defined(__APPLE__)
/* No SOCK_CLOEXEC there; descriptors_spawn closes everything unnamed, so the gap hands nothing to a child. */
static int make_private(int descriptor, int nonblocking) {
    if (fcntl(descriptor, F_SETFD, FD_CLOEXEC) < 0) return -1;
    return nonblocking ? descriptors_set_nonblocking(descriptor, 1) : 0;
}
#endif

static int new_socket(void) {
#if defined(__APPLE__)
    int made = socket(AF_UNIX, SOCK_STREAM, 0);
    if (made >= 0 && make_private(made, 1) < 0) return close_with_error(made);
    return made;
#else
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
#endif
}

static int fill_address(struct sockaddr_un *address, const char *path) {
    size_t length = strlen(path);
    memset(address, 0, sizeof *address);
    if (length >= sizeof address->sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, length);
    return 0;
}

/* The socket file has mode 0600 from its first moment. */
static int bind_privately(int made, const struct sockaddr_un *address) {
#if !defined(__APPLE__)
    /* Linux gives the file the mode of the socket, less the umask: nothing of the process has to change. */
    if (fchmod(made, 0600) == 0) return bind(made, (const struct sockaddr *)address, sizeof *address);
#endif
    mode_t before = umask(0177);
    int bound = bind(made, (const struct sockaddr *)address, sizeof *address);
    int error = errno;
    umask(before);
    errno = error;
    return bound;
}

int descriptors_socket_listen(const char *path, int backlog) {
    struct sockaddr_un address;
    if (fill_address(&address, path) < 0) return -1;
    int made = new_socket();
    if (made < 0) return -1;
    if (bind_privately(made, &address) < 0 || listen(made, backlog) < 0) return close_with_error(made);
    return made;
}

int descriptors_socket_connect(const char *path) {
    struct sockaddr_un address;
    if (fill_address(&address, path) < 0) return -1;
    int made = new_socket();
    if (made < 0) return -1;
    if (connect(made, (const struct sockaddr *)&address, sizeof address) < 0) return close_with_error(made);
    return made;
}

int descriptors_socket_pair(int nonblocking, int *first, int *second) {
    int ends[2];
#if defined(__APPLE__)
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0) return -1;
    if (make_private(ends[0], nonblocking) < 0 || make_private(ends[1], nonblocking) < 0) {
        close_with_error(ends[0]);
        return close_with_error(ends[1]);
    }
#else
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0, ends) < 0) return -1;
#endif
    *first = ends[0];
    *second = ends[1];
    return 0;
}

int descriptors_socket_peer_user(int descriptor, uint32_t *user) {
#if defined(__APPLE__)
    uid_t peer_user;
    gid_t peer_group;
    if (getpeereid(descriptor, &peer_user, &peer_group) < 0) return -1;
    *user = peer_user;
#else
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0) return -1;
    if (length != sizeof credentials || credentials.uid == (uid_t)-1) {
        errno = ENOTCONN; /* not a connected UNIX socket */
        return -1;
    }
    *user = credentials.uid;
#endif
    return 0;
}

int descriptors_watch_folder(const char *path) {
#if defined(__linux__)
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch < 0) return -1;
    if (inotify_add_watch(watch, path, IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_TO | IN_CREATE | IN_ONLYDIR) >= 0) return watch;
    int kept = errno;
    close(watch);
    errno = kept;
#else
    (void)path;
    errno = ENOSYS;
#endif
    return -1;
}
