package acl

import "slices"

// Unnamed returns the ACL without the entries of named users and groups. The rest has the
// same Mode, and no ids: the kernel accepts it in every user namespace.
func (a ACL) Unnamed() ACL {
	return slices.DeleteFunc(slices.Clone(a), Entry.named)
}

// WithNamed undoes Unnamed: it returns the ACL with the entries of named users and groups
// from the ACL named. If a has such entries itself, or no Mask entry, it is not a result
// of Unnamed, and is returned unchanged.
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

// only appends the entries of a with that tag to b.
func (a ACL) only(tag Tag, b ACL) ACL {
	for _, e := range a {
		if e.Tag == tag {
			b = append(b, e)
		}
	}
	return b
}

// Translated returns the ACL with the ids of named users and groups translated by the functions,
// which may return NoID.
func (a ACL) Translated(user, group func(id uint32) uint32) ACL {
	to := slices.Clone(a)
	for i := range to {
		switch e := &to[i]; e.Tag {
		case User:
			e.ID = user(e.ID)
		case Group:
			e.ID = group(e.ID)
		}
	}
	return to
}

// NamesNobody reports whether a named user or group has the id NoID.
func (a ACL) NamesNobody() bool {
	return slices.ContainsFunc(a, func(e Entry) bool { return e.named() && e.ID == NoID })
}
