// The records of files, as an accelerated process sees them.
#pragma once
#include "code.h"

#pragma GCC visibility push(hidden)

#define RECORD "user.rootlesscontainers" // the attribute with the record

#define SET_ID_BITS 07000 // that the record can have in place of the mode: see owner.SetIDBits

// unrecorded reports whether r, the result of reading the record of an inode with this mode, means
// that there is none. On all other inodes ENODATA means nothing: their records are elsewhere.
static inline int unrecorded(long r, u32 mode) { return r == -ENODATA && (is_regular(mode) || is_directory(mode)); }

// read_record reads the record of the object that a call has just found.
long read_record(int dirfd, u64 path, u32 flags, void *value, u32 size);

// read_record_fd is read_record by descriptor, which must not be one of O_PATH.
long read_record_fd(int fd, void *value, u32 size);

// owner_only reports whether a record of n bytes consists of the owner.
int owner_only(const u8 *value, long n);

// has_attributes returns 0 if the object has no attribute: no ACL, and nothing that the supervisor
// stores in one. Its owner may be in the sidecar, if the file system has no attributes.
static inline long has_attributes(int dirfd, u64 path, u32 flags) { return fast(__NR_listxattrat, dirfd, path, flags, 0, 0); }

#pragma GCC visibility pop
