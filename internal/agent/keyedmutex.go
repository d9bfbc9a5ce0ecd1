package agent

import "sync"

// keyedMutex is a mutex for each key. The zero value is ready for use.
type keyedMutex struct {
	mu   sync.Mutex
	held map[string]*keyMutex
}

type keyMutex struct {
	sync.Mutex
	users int // that hold it or wait for it
}

// lock locks key and returns the function that unlocks it.
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
