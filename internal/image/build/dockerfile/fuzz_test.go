package dockerfile

import (
	"errors"
	"testing"
)

// FuzzParse parses Dockerfiles. Every error names a line.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"FROM scratch\nCOPY a /b\n", "ARG A=1\nFROM x:$A AS b\nRUN <<EOF\nid\nEOF\nFROM b\nCOPY --from=b / /\n",
		"# escape=`\nFROM x\nRUN a `\n b\n", "FROM x\nONBUILD RUN a\nEXPOSE 80-90/udp\nHEALTHCHECK NONE\nLABEL a=\"b c\" d=e\n",
		"FROM x\nRUN --mount=type=cache,target=/a --network=none id\nSTOPSIGNAL 9\nUSER a:b\nVOLUME [\"/a\"]\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		_, err := Parse(content, Options{Name: "Dockerfile", Warn: func(string) {}})
		var located *Error
		if err != nil && (!errors.As(err, &located) || located.Line < 1) {
			t.Errorf("%q: %v names no line", content, err)
		}
	})
}
