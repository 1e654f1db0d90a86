/* SPDX-License-Identifier: MIT */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "CDescriptors.h"

#include <errno.h>

#if defined(__linux__)
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Landlock's interface as linux/landlock.h has it. The header of the machine that builds may be older than the kernel
 * of the machine that runs, and the numbers never change.
 */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

struct ruleset_attribute {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* from ABI 4 on */
    uint64_t scoped;             /* from ABI 6 on */
};

struct path_beneath_attribute {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

enum { VERSION_FLAG = 1, RULE_PATH_BENEATH = 1 };

#define FS_EXECUTE (1ULL << 0)
#define FS_WRITE_FILE (1ULL << 1)
#define FS_READ_FILE (1ULL << 2)
#define FS_READ_DIR (1ULL << 3)
#define FS_REMOVE_DIR (1ULL << 4)
#define FS_REMOVE_FILE (1ULL << 5)
#define FS_MAKE_CHAR (1ULL << 6)
#define FS_MAKE_DIR (1ULL << 7)
#define FS_MAKE_REG (1ULL << 8)
#define FS_MAKE_SOCK (1ULL << 9)
#define FS_MAKE_FIFO (1ULL << 10)
#define FS_MAKE_BLOCK (1ULL << 11)
#define FS_MAKE_SYM (1ULL << 12)
#define FS_REFER (1ULL << 13)     /* ABI 2 */
#define FS_TRUNCATE (1ULL << 14)  /* ABI 3 */
#define FS_IOCTL_DEV (1ULL << 15) /* ABI 5 */

#define NET_BIND_TCP (1ULL << 0)
#define NET_CONNECT_TCP (1ULL << 1)

#define SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define SCOPE_SIGNAL (1ULL << 1)

/* Everything that the kernel can forbid; what no rule allows is forbidden. */
static uint64_t handled(int abi) {
    uint64_t all = FS_REFER | (FS_REFER - 1);
    if (abi >= 3) all |= FS_TRUNCATE;
    if (abi >= 5) all |= FS_IOCTL_DEV;
    return all;
}

static uint64_t rights(int use) {
    switch (use) {
    case DESCRIPTORS_WALL_READ_FILE: return FS_READ_FILE;
    case DESCRIPTORS_WALL_READ: return FS_READ_FILE | FS_READ_DIR;
    case DESCRIPTORS_WALL_KEEP_WITH_SOCKETS: return rights(DESCRIPTORS_WALL_KEEP) | FS_MAKE_SOCK;
    case DESCRIPTORS_WALL_KEEP:
        return FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE | FS_TRUNCATE | FS_REMOVE_DIR | FS_REMOVE_FILE |
               FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SYM | FS_REFER;
    default: return 0;
    }
}

int descriptors_wall_version(void) {
    return (int)syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, VERSION_FLAG);
}

int descriptors_wall_begin(int version) {
    struct ruleset_attribute attribute = {.handled_access_fs = handled(version)};
    size_t size = sizeof attribute.handled_access_fs;
    if (version >= 4) {
        attribute.handled_access_net = NET_BIND_TCP | NET_CONNECT_TCP;
        size += sizeof attribute.handled_access_net;
    }
    if (version >= 6) {
        attribute.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
        size += sizeof attribute.scoped;
    }
    return (int)syscall(SYS_landlock_create_ruleset, &attribute, size, 0);
}

int descriptors_wall_find(const char *path) { return open(path, O_PATH | O_CLOEXEC); }

int descriptors_wall_allow(int wall, int version, int place, int use) {
    struct path_beneath_attribute attribute = {.allowed_access = rights(use) & handled(version), .parent_fd = place};
    return (int)syscall(SYS_landlock_add_rule, wall, RULE_PATH_BENEATH, &attribute, 0);
}

int descriptors_wall_raise(int wall) {
    /* Without it only a privileged process may restrict itself. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
    return (int)syscall(SYS_landlock_restrict_self, wall, 0);
}

#else

int descriptors_wall_version(void) {
    errno = ENOSYS;
    return -1;
}

int descriptors_wall_begin(int version) {
    (void)version;
    errno = ENOSYS;
    return -1;
}

int descriptors_wall_find(const char *path) {
    (void)path;
    errno = ENOSYS;
    return -1;
}

int descriptors_wall_allow(int wall, int version, int place, int use) {
    (void)wall, (void)version, (void)place, (void)use;
    errno = ENOSYS;
    return -1;
}

int descriptors_wall_raise(int wall) {
    (void)wall;
    errno = ENOSYS;
    return -1;
}

#endif
