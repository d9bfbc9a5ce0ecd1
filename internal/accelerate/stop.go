package accelerate

import (
	"log/slog"

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

// Dispatches is called before a thread lets the kernel report system calls by their addresses, with
// PR_SET_SYSCALL_USER_DISPATCH. From then on, no code changes in the container: it is rare, and which
// threads do so cannot be found out.
func (i *Injector) Dispatches(c *Call) {
	i.sharing.Or(shares)
	i.Restricts(c, false)
}

// Restricts is called before a process restricts its own calls, with a filter of its own, which may
// know nothing of the calls that the code makes. Others means that the filter is for all of its threads.
func (i *Injector) Restricts(c *Call, others bool) {
	i.execution(c.PID).forget()
	mappings, err := stop(c.PID, true)
	if err == nil && others && len(mappings) > 0 {
		err = i.letPass(c.PID, mappings)
	}
	if err != nil {
		slog.Warn("a process that restricts its own system calls may be killed", "pid", c.PID, "err", err)
	}
}
