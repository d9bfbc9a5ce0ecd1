package accelerate

import (
	"github.com/rootless-containers/subuidless/internal/accelerate/blob"
)

// Stop makes the process pid make all calls as its program makes them: neither the code nor a
// bootstrap, if it has them, does anything from now on. It does not matter which worker has given
// them to it. Nothing starts it again until it executes another program.
//
// The working directory is the supervisor's /proc.
func Stop(pid uint32) error {
	header, _ := blob.ParseHeader(blob.Code())
	p, err := open(pid, header)
	if err != nil {
		return err
	}
	defer p.close()
	all, err := p.maps()
	if err != nil {
		return err
	}
	for k := range all {
		m := &all[k]
		switch {
		case m.code && p.isMapped(m.start):
			err = p.write(m.start+blob.OffOffset, []byte{1})
		case m.executable && m.private && m.file != (file{}):
			for at := m.end - bootstrapSize; at >= m.start && err == nil; at -= bootstrapSize {
				if _, e := p.bootstrapAt(at); e != nil {
					break
				}
				err = p.write(at+bootOffAt, []byte{1})
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
