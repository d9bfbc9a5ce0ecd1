package accelerate

import (
	"bytes"
	"cmp"
	"slices"
)

// siteIn is a call site in the mapping with the index k.
type siteIn struct {
	site
	k int
}

// known returns the known call sites of the mapping with the index k that have not been patched.
func (i *Injector) known(p *process, all []mapping, k int) []siteIn {
	var sites []siteIn
	for _, s := range i.catalog.sites(p, all, k) {
		if p.hasSite(&s) {
			sites = append(sites, siteIn{s, k})
		}
	}
	return sites
}

// patch makes call sites jump to slots, which it writes first. The error is errPlace if there is no room
// for one of them.
func (l *slots) patch(sites []siteIn, all []mapping) error {
	var edits []edit
	var left error
	for n := range sites {
		s := &sites[n]
		at, err := l.place(&s.site, all, s.k)
		if err == nil {
			edits, err = s.redirect(edits, at)
		}
		if err == errPlace {
			left = err
		} else if err != nil {
			return err
		}
	}
	if err := l.flush(); err != nil {
		return err
	}
	if err := l.process.edit(edits); err != nil {
		return err
	}
	return left
}

// slots are the slots of a blob. What place adds to them is in the process after flush.
type slots struct {
	process    *process
	mapping    uint64 // address of the blob
	content    []byte
	begin, end int // what place has added to content
}

// slots returns the slots of the blob that is mapped at the address mapping.
func (p *process) slots(mapping uint64) (*slots, error) {
	content := make([]byte, p.header.EndOfSlots-p.header.Slots)
	if err := p.read(mapping+uint64(p.header.Slots), content); err != nil {
		return nil, err
	}
	return &slots{process: p, mapping: mapping, content: content}, nil
}

// place adds a slot for the call site s, unless there is one already, and returns its address. If the
// blob is too far away, that is in the tail of the text, which is the mapping with the index k.
func (l *slots) place(s *site, all []mapping, k int) (at uint64, err error) {
	common := l.process.header.Common
	if s.isGo() {
		common = l.process.header.CommonGo
	}
	var slot [slotSize]byte
	exists, inReach := false, true
	fits := func(at uint64, content []byte) bool {
		slot, inReach = makeSlot(s, at, l.mapping+uint64(common))
		exists = inReach && bytes.Equal(content, slot[:])
		return exists || inReach && isEmpty(content)
	}
	first := l.mapping + uint64(l.process.header.Slots)
	for n := 0; n < len(l.content) && inReach; n += slotSize {
		at, here := first+uint64(n), l.content[n:n+slotSize]
		if !fits(at, here) {
			continue
		}
		if !exists {
			copy(here, slot[:])
			if l.begin == l.end {
				l.begin = n
			}
			l.end = n + slotSize // the next empty one is always behind it
		}
		return at, nil
	}
	t, err := l.process.tail(all, k)
	if err != nil {
		return 0, err
	}
	if at, err = t.place(slotSize, fits); err != nil || exists {
		return at, err
	}
	return at, l.process.write(at, slot[:])
}

// flush writes the slots that place has added.
func (l *slots) flush() error {
	if l.begin == l.end {
		return nil
	}
	err := l.process.write(l.mapping+uint64(l.process.header.Slots)+uint64(l.begin), l.content[l.begin:l.end])
	l.begin, l.end = 0, 0
	return err
}

// edit is a change of code within one page.
type edit struct {
	at   uint64
	code []byte
}

// redirect appends what makes the call site s jump to the address to, in place of the load; Go's, in
// place of the first move. The error is errPlace if that is too far.
func (s *site) redirect(edits []edit, to uint64) ([]edit, error) {
	at := s.load
	if s.isGo() {
		at += uint64(goSize)
	}
	jump, ok := appendJump(nil, at, to)
	if !ok {
		return edits, errPlace
	}
	edits = append(edits, edit{at, jump})
	if s.isGo() {
		edits = append(edits, edit{s.load, []byte{0xeb, byte(goSize - 2)}}) // to the jump
	}
	return edits, nil
}

// edit changes the code of the process, each page in one write.
func (p *process) edit(edits []edit) error {
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Compare(a.at, b.at) })
	for len(edits) > 0 {
		first, n := edits[0], 1
		for n < len(edits) && edits[n].at/pageSize == first.at/pageSize {
			n++
		}
		last := edits[n-1]
		code := make([]byte, last.at+uint64(len(last.code))-first.at)
		if err := p.read(first.at, code); err != nil {
			return err
		}
		for _, e := range edits[:n] {
			copy(code[e.at-first.at:], e.code)
		}
		if err := p.write(first.at, code); err != nil {
			return err
		}
		edits = edits[n:]
	}
	return nil
}
