package agent

import "sync"

// keyedMutex is one mutex for each key. The zero value is ready for use.
type keyedMutex struct {
	mu sync.Mutex
	// held has the mutexes that are locked or waited for. Guarded by mu.
	held map[string]*keyMutex
}

type keyMutex struct {
	sync.Mutex
	users int // goroutines that hold it or wait for it; guarded by keyedMutex.mu
}

// lock locks the mutex of key, and returns the function that unlocks it. A goroutine locks
// one key at a time; mu is not held while lock waits.
func (k *keyedMutex) lock(key string) (unlock func()) {
	k.mu.Lock()
	m := k.held[key]
	if m == nil {
		m = new(keyMutex)
		if k.held == nil {
			k.held = map[string]*keyMutex{}
		}
		k.held[key] = m
	}
	m.users++
	k.mu.Unlock()
	m.Lock()
	return func() {
		m.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if m.users--; m.users == 0 {
			delete(k.held, key)
		}
	}
}
