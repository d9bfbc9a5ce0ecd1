// What the kernel defines: numbers, flags and structures of its interface on x86-64.
#pragma once
#include <asm/unistd.h>

#ifndef __NR_getxattrat // Linux 6.13
#define __NR_getxattrat 464
#define __NR_listxattrat 465
#endif
#ifndef __NR_fchmodat2 // Linux 6.6
#define __NR_fchmodat2 452
#endif

typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

enum { EPERM = 1, ENOENT = 2, EINTR = 4, ENXIO = 6, EACCES = 13, EINVAL = 22, ENOSYS = 38, ENODATA = 61, EOPNOTSUPP = 95 };
enum { S_IFMT = 0170000, S_IFREG = 0100000, S_IFDIR = 0040000, S_IFCHR = 0020000, S_ISGID = 02000 };
enum { AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_REMOVEDIR = 0x200, AT_EMPTY_PATH = 0x1000 };
enum { O_WRONLY = 01, O_CREAT = 0100, O_EXCL = 0200, O_TRUNC = 01000, O_DIRECTORY = 0200000, O_NOFOLLOW = 0400000, O_PATH = 010000000, __O_TMPFILE = 020000000 };
enum { STATX_TYPE = 1, SEEK_SET = 0, SEEK_CUR = 1, RENAME_EXCHANGE = 2, XATTR_CREATE = 1, DT_REG = 8, DT_SOCK = 12 };
#define O_WRITES (03 | O_CREAT | O_TRUNC | __O_TMPFILE) // 03 is O_ACCMODE
#define PTMX 0x502 // st_rdev of the multiplexer of pseudoterminals

// struct stat of <asm/stat.h>.
struct stat {
	u64 dev, ino, nlink;
	u32 mode, uid, gid, pad;
	u64 rdev;
	long size, blksize, blocks, times[6], unused[3];
};
_Static_assert(sizeof(struct stat) == 144, "struct stat of x86-64");

// The beginning of struct statx of <linux/stat.h>.
struct statx {
	u32 mask, blksize;
	u64 attributes;
	u32 nlink, uid, gid;
	u16 mode;
};
_Static_assert(__builtin_offsetof(struct statx, mode) == 28, "struct statx");

// struct statfs of <asm/statfs.h>.
struct statfs {
	long type, rest[14];
};
_Static_assert(sizeof(struct statfs) == 120, "struct statfs");
#define BTRFS_SUPER_MAGIC 0x9123683e

static inline int is_regular(u32 mode) { return (mode & S_IFMT) == S_IFREG; }
static inline int is_directory(u32 mode) { return (mode & S_IFMT) == S_IFDIR; }

// struct xattr_args of <linux/xattr.h>.
struct xattr_args {
	u64 value;
	u32 size, flags;
};
