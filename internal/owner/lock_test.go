package owner

import (
	"sync"
	"testing"
	"time"
)

// If two goroutines held the lock of one inode, a change could be lost.
func TestLockSerialisesOneInode(t *testing.T) {
	s := NewStore(ID{}, nil)
	const rounds = 2000
	i := Inode{Dev: 1, Ino: 2}
	count, inside := 0, 0
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range rounds {
				s.Lock(i)
				if inside++; inside != 1 {
					t.Error("two goroutines hold the lock of one inode")
				}
				count++
				inside--
				s.Unlock(i)
			}
		})
	}
	wg.Wait()
	if count != 4*rounds {
		t.Errorf("%d changes, want %d", count, 4*rounds)
	}
}

func TestLockWaits(t *testing.T) {
	s := NewStore(ID{}, nil)
	i := Inode{Dev: 1, Ino: 2}
	s.Lock(i)
	got := make(chan bool)
	go func() {
		s.Lock(i)
		got <- true
		s.Unlock(i)
	}()
	select {
	case <-got:
		t.Fatal("a second lock of the inode was granted")
	case <-time.After(20 * time.Millisecond):
	}
	s.Unlock(i)
	select {
	case <-got:
	case <-time.After(time.Minute):
		t.Fatal("the lock is not granted a minute after its release")
	}
}

// A FUSE server may have to change owners to complete the work that the holder of a lock
// waits for. So no other inode may be locked, whatever its number is.
func TestLockLeavesOtherInodesAlone(t *testing.T) {
	s := NewStore(ID{}, nil)
	held := Inode{Dev: 1, Ino: 2}
	s.Lock(held)
	done := make(chan bool)
	go func() {
		for n := range uint64(3000) {
			for _, other := range []Inode{{1, 3 + n}, {2 + n, 2}, {n << 32, 2}} {
				s.Lock(other)
				s.Unlock(other)
			}
		}
		done <- true
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("the lock of another inode is not granted within a minute")
	}
	s.Unlock(held)
}

// Locks may be released in any order.
func TestUnlockInAnyOrder(t *testing.T) {
	s := NewStore(ID{}, nil)
	a, b, c := Inode{1, 1}, Inode{1, 2}, Inode{1, 3}
	for _, order := range [][]Inode{{a, b, c}, {c, b, a}, {b, a, c}, {b, c, a}} {
		for _, i := range []Inode{a, b, c} {
			s.Lock(i)
		}
		for _, i := range order {
			s.Unlock(i)
		}
		if n := len(s.locks.held); n != 0 {
			t.Fatalf("released in the order %v: %d still held", order, n)
		}
	}
}

func TestLockAllocatesNothing(t *testing.T) {
	s := NewStore(ID{}, nil)
	if n := testing.AllocsPerRun(1000, func() {
		s.Lock(Inode{1, 2})
		s.Unlock(Inode{1, 2})
	}); n != 0 {
		t.Errorf("%v allocations for a pair of Lock and Unlock, want none", n)
	}
}
