package running

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestKeys(t *testing.T) {
	for input, want := range map[string]string{
		"abc": "abc", "a\x10b": "a\x10b", "\x10\x10a": "\x10\x10a", "ab\x10\x11cd": "ab", "\x11": "\x11", "\x10\x10\x11x": "\x10",
	} {
		for name, in := range map[string]io.Reader{"at once": strings.NewReader(input), "by byte": iotest.OneByteReader(strings.NewReader(input))} {
			detached := make(chan struct{})
			got, err := io.ReadAll(&keys{in: in, detached: detached})
			if err != nil || string(got) != want {
				t.Errorf("%q, %s: %q, %v; want %q", input, name, got, err, want)
			}
			select {
			case <-detached:
				if got := strings.Contains(input, "\x10\x11"); !got {
					t.Errorf("%q detaches", input)
				}
			default:
				if strings.Contains(input, "\x10\x11") {
					t.Errorf("%q does not detach", input)
				}
			}
		}
	}
}
