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

// read_record_fd is read_record by descriptor; of O_PATH, EBADF.
long read_record_fd(int fd, void *value, u32 size);

// write_record_fd creates the record.
long write_record_fd(int fd, const void *value, u32 size);

// owner is what most records consist of. An id that is NO_ID is the one that the kernel shows.
struct owner {
	u32 uid, gid;
};
#define NO_ID (~0U)

// OWNER_SIZE is enough for the value of a record that consists of the owner.
#define OWNER_SIZE 24

// parse_owner reports whether the value of a record, of n bytes, consists of the owner, and fills o.
int parse_owner(const u8 *value, long n, struct owner *o);

// put_owner writes the value of the record that consists of the owner o, and returns its size.
u32 put_owner(u8 value[OWNER_SIZE], const struct owner *o);

// owned fills o with the recorded owner of an inode with this mode; without a record, with NO_ID. R
// is the result of reading the record into value. It reports false if the record may say more.
int owned(long r, const u8 *value, u32 mode, struct owner *o);

// at_most_owned reports whether the record of the object at path, with this mode, says nothing but
// the owner, if there is one.
int at_most_owned(int dirfd, u64 path, u32 flags, u32 mode);

// at_most_owned_fd is at_most_owned by descriptor.
int at_most_owned_fd(int fd, u32 mode);

// has_attributes returns 0 if the program shall see no attribute of the object, which has no ACL
// then, and nothing else that the supervisor stores in an attribute. Its owner may be in the
// sidecar, if the file system has no attributes.
long has_attributes(int dirfd, u64 path, u32 flags);

#pragma GCC visibility pop
