// Lists of extended attributes.

// On XFS, the kernel lists an ACL a second time for root of the initial user namespace, as it is
// on the disk: as trusted.SGI_ACL_FILE or _DEFAULT (__xfs_xattr_put_listent and
// xfs_xattr_put_listent of fs/xfs/xfs_xattr.c). Root of another namespace does not see that name.
static const char disk_acl[] = "trusted.SGI_ACL_";

// without_disk_acls removes these names from a list of n bytes, and returns what is left of n.
static word without_disk_acls(char *names, word n) {
	word kept = 0, size;
	for (word i = 0; i < n; i += size) {
		size = length(names + i) + 1;
		word same = 0;
		while (disk_acl[same] && names[i + same] == disk_acl[same])
			same++;
		if (!disk_acl[same])
			continue;
		memcpy(names + kept, names + i, size);
		kept += size;
	}
	return kept;
}

// list_attributes returns the names of all extended attributes of a file of the working directory,
// or an error.
static word list_attributes(const char *name, char *names, unsigned long size) {
	word n = raw(llistxattr, name, names, size);
	return n < 0 ? n : without_disk_acls(names, n);
}
