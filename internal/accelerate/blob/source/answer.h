// The functions that answer calls. Their arguments are those of the call at the same place; paths
// and buffers are addresses of the caller. They return its result, or NOTIFY.
#pragma once
#include "record.h"
#include "stack.h"

#pragma GCC visibility push(hidden)

// answer answers the call nr. Stack is the lowest address of the caller's stack; 0 if that is unknown,
// and the stack is large enough.
long answer(long nr, const struct arguments *a, u64 stack);

// status.c
long stat_at(int dirfd, u64 path, u64 buffer, u32 flags);
long stat_fd(int fd, u64 buffer);
long stat_x(int dirfd, u64 path, u32 flags, u32 mask, u64 buffer);

// open.c
long open_at(int dirfd, u64 path, u32 flags, u64 mode);

// names.c
long make_directory(int dirfd, u64 path, u64 mode);
long make_link(u64 target, int dirfd, u64 path);
long remove_at(int dirfd, u64 path, u32 flags);
long rename_at(int from, u64 old, int to, u64 new, u32 flags);

// plain_parent reports whether what is created at path belongs to root, and inherits from its
// directory only what the kernel knows: neither a recorded ACL nor a recorded group.
int plain_parent(int dirfd, const char *path);

// inode.c
long chmod_at(int dirfd, u64 path, u32 mode);
long chmod_fd(int fd, u32 mode);
long chown_at(int dirfd, u64 path, u32 uid, u32 gid, u32 flags);
long chown_fd(int fd, u32 uid, u32 gid);

// may_chmod reports whether set-id bits of a file with this mode are neither recorded nor would be.
int may_chmod(u32 old, u32 new);

// xattr.c
long get_attribute(long nr, u64 object, u64 name, u64 value, u64 size);
long set_acl(int fd, u64 name, u64 value, u64 size, u64 flags);

// directory.c
long list_directory(int fd, u64 entries, u64 size);

#pragma GCC visibility pop
