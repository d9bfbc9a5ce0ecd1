package owner

import "golang.org/x/sys/unix"

// Record is what is recorded for an inode.
type Record struct {
	ID
}

// Record fills r with what is recorded for the object that the descriptor fd
// refers to, of st_mode mode. Ok is false if nothing is.
func (s *Store) Record(fd int, mode uint32, r *Record) (ok bool) {
	r.ID, ok = s.Get(fd, mode)
	return ok
}

// SetRecord records r for the object that the descriptor fd refers to, of st_mode mode.
func (s *Store) SetRecord(fd int, mode uint32, r *Record) unix.Errno {
	return s.Set(fd, mode, r.ID)
}
