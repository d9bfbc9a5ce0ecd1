package program

import (
	"io"
	"os"
)

// Parts returns the programs in a file that cmd/build has made, the main program first, which is
// the file. A file without an image program has one part.
func Parts(f *os.File) ([]*io.SectionReader, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	l, err := readLayout(f, st.Size())
	if err != nil {
		return nil, err
	}
	parts := []*io.SectionReader{io.NewSectionReader(f, 0, st.Size())}
	if l.image > l.main {
		parts = append(parts, io.NewSectionReader(f, l.main, l.image-l.main))
	}
	return parts, nil
}
