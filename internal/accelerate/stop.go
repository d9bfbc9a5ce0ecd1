package accelerate

import (
	"github.com/rootless-containers/subuidless/internal/accelerate/blob"
)

// Stop makes the code of the process pid, if it has it, make all calls as the program makes them. It
// does not matter which worker has given it the code. Nothing starts it again until it executes
// another program.
//
// It reads no memory that a file system in the container would have to provide, so that its caller
// may hold locks. The working directory is the supervisor's /proc.
func Stop(pid uint32) error {
	_, err := stop(pid, false)
	return err
}

// stop is Stop; with plain, all calls are made by the program's own instructions, and bootstraps do
// nothing from then on, either. It returns the addresses at which the code is mapped.
func stop(pid uint32, plain bool) (mappings []uint64, err error) {
	off := []byte{1}
	if plain {
		off = []byte{1, 1}
	}
	header, _ := blob.ParseHeader(blob.Code())
	p, err := open(pid, header)
	if err != nil {
		return nil, err
	}
	defer p.close()
	all, err := p.maps()
	if err != nil {
		return nil, err
	}
	for k := range all {
		m := &all[k]
		switch {
		case m.code && p.isMapped(m.start):
			mappings = append(mappings, m.start)
			err = p.write(m.start+blob.OffOffset, off)
		case plain && m.executable && m.private && m.file != (file{}):
			t := tail{m.end - pageSize, make([]byte, pageSize)}
			if p.read(t.start, t.content) != nil {
				break
			}
			for n := 0; n <= pageSize-bootstrapSize && err == nil; n += slotSize {
				if t.isBootstrap(n) {
					err = p.write(t.start+uint64(n)+bootOffAt, []byte{1})
				}
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return mappings, nil
}
