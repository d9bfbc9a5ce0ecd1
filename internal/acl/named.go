package acl

import "slices"

// Unnamed is the ACL without the entries for single users and groups: what is left
// grants nothing to anybody by id, and the inode has the same mode by it.
func (a ACL) Unnamed() ACL {
	return slices.DeleteFunc(slices.Clone(a), Entry.named)
}

// WithNamed is an ACL that Unnamed has made, with the entries for single users and
// groups of named again. Another ACL, which has such entries of its own or no mask for
// them, is returned as it is.
func (a ACL) WithNamed(named ACL) ACL {
	if !a.masked() || slices.ContainsFunc(a, Entry.named) {
		return a
	}
	to := make(ACL, 0, len(a)+len(named))
	for _, e := range a {
		switch e.Tag {
		case GroupObj:
			to = append(named.only(User, to), e)
		case Mask:
			to = append(named.only(Group, to), e)
		default:
			to = append(to, e)
		}
	}
	return to
}

// only appends the entries with the tag to b.
func (a ACL) only(tag Tag, b ACL) ACL {
	for _, e := range a {
		if e.Tag == tag {
			b = append(b, e)
		}
	}
	return b
}
