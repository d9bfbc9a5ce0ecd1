package accelerate

import (
	"bytes"
	"hash/maphash"
	"slices"
	"sync"
)

// catalog is what is known of the call sites of files. All of those in a process are patched when it
// gets the code: before it has threads, and with one look at it. It is a hint: the code is compared in
// the memory of the process, so that a file that has changed meanwhile does no harm.
type catalog struct {
	mu    sync.Mutex
	files map[file]known
}

// known is what is known of a file.
type known struct {
	head  uint64 // hash of its first page, which has the build id or, at least, the sizes of all segments
	sites []fileSite
}

// fileSite is a call site of a file.
type fileSite struct {
	offset uint64 // of its load
	code   string
}

// The bounds of a catalog. The C library has about 40 sites that make calls which the code answers.
const (
	maxFiles     = 128
	maxFileSites = 48
)

var headSeed = maphash.MakeSeed()

// firstPage reads the first page of the file of the mapping with the index k. Ok is false if that is not
// the text of a file, or the page is not mapped.
func (p *process) firstPage(all []mapping, k int, page *[pageSize]byte) (ok bool) {
	if !all[k].isText() {
		return false
	}
	base := beginning(all, k)
	return base >= 0 && p.read(all[base].start, page[:]) == nil
}

// head returns the hash of that page.
func (p *process) head(all []mapping, k int) (hash uint64, ok bool) {
	var page [pageSize]byte
	ok = p.firstPage(all, k, &page)
	return maphash.Bytes(headSeed, page[:]), ok
}

// learn notes the call site s of a process, which is in the mapping with the index k.
func (c *catalog) learn(p *process, all []mapping, k int, s *site) {
	head, ok := p.head(all, k)
	if !ok {
		return
	}
	m := &all[k]
	c.mu.Lock()
	defer c.mu.Unlock()
	f, found := c.files[m.file]
	if f.head != head {
		f = known{head: head}
	}
	learned := fileSite{s.load - m.start + m.offset, string(s.code)}
	if slices.Contains(f.sites, learned) || len(f.sites) == maxFileSites {
		return
	}
	if !found && len(c.files) == maxFiles {
		for old := range c.files { // any one
			delete(c.files, old)
			break
		}
	}
	if c.files == nil {
		c.files = map[file]known{}
	}
	f.sites = append(slices.Clip(f.sites), learned) // others may be reading the old slice
	c.files[m.file] = f
}

// sites returns the known call sites in the mapping with the index k of a process: of a Go program, only
// Go's.
func (c *catalog) sites(p *process, all []mapping, k int) []site {
	m := &all[k]
	c.mu.Lock()
	f, found := c.files[m.file]
	c.mu.Unlock()
	if !found {
		return nil
	}
	if head, ok := p.head(all, k); !ok || head != f.head {
		return nil
	}
	var sites []site
	for _, l := range f.sites {
		s := site{l.offset - m.offset + m.start, []byte(l.code)}
		if l.offset < m.offset || s.load < m.start || s.after() > m.end {
			continue
		}
		if s.isGo() {
			return []site{s}
		}
		sites = append(sites, s)
	}
	return sites
}

// learnGo notes Go's call site in the programs of Go that the process has mapped, and reports whether
// there is one. So the first process of such a program can get the code before it has threads.
func (c *catalog) learnGo(p *process, all []mapping) (found bool) {
	var page [pageSize]byte
	for k := range all {
		if !p.firstPage(all, k, &page) || !bytes.Contains(page[:], []byte(goNote)) {
			continue
		}
		text := make([]byte, min(all[k].end-all[k].start, goDepth))
		if p.read(all[k].start, text) != nil {
			continue
		}
		n := bytes.Index(text, []byte(goMoves+"\x0f\x05"+goReturn))
		if n < 0 {
			continue
		}
		if s := (site{all[k].start + uint64(n), []byte(goMoves)}); p.hasSite(&s) {
			c.learn(p, all, k, &s)
			found = true
		}
	}
	return found
}
