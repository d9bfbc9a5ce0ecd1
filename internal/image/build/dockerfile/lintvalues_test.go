package dockerfile

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// lintValues returns what the rules say about a Dockerfile that is based on an image with the variable
// BASE, for linux/amd64, and whose context has a .dockerignore.
func lintValues(file string, ignore ...string) ([]string, error) {
	said := []string{}
	amd64 := ocispec.Platform{OS: "linux", Architecture: "amd64"}
	f, err := Parse([]byte(file), Options{
		Name: "Dockerfile", Platform: amd64, Build: amd64, Ignore: ignore, Warn: func(string) {},
		Lint: func(w Warning) { said = append(said, fmt.Sprintf("%d: %s: %s", w.Line, w.Rule, w.Message)) },
	})
	if err != nil {
		return said, err
	}
	var base Base
	base.Image.Platform = amd64
	base.Image.Config.Env = []string{"BASE=1"}
	base.Image.RootFS.DiffIDs = []digest.Digest{"sha256:0"}
	for _, s := range f.Stages {
		r, err := s.Evaluate(base)
		if err != nil {
			return said, err
		}
		base = r.After
	}
	slices.Sort(said)
	return said, nil
}

// TestLintValues has Dockerfiles for the rules that need values, and what BuildKit's linter says.
func TestLintValues(t *testing.T) {
	for _, tt := range []struct{ file, ignore, want string }{
		{"FROM a\nCOPY $x $BASE /\n", "", "2: UndefinedVar: Usage of undefined variable '$x'"},
		{"FROM a\nENV DIR=/ OTHER=$DOR\nWORKDIR $DIR\n", "", "2: UndefinedVar: Usage of undefined variable '$DOR'"},
		{"FROM a\nENV DIR=/\nWORKDIR $DOR\n", "", "3: UndefinedVar: Usage of undefined variable '$DOR' (did you mean $DIR?)"},
		{"FROM a\nARG x\nLABEL y=$x z=${longer:-1}\nARG v=$x w=$other\n", "", "3: UndefinedVar: Usage of undefined variable '$longer'\n4: UndefinedVar: Usage of undefined variable '$other'"},
		{"FROM a\nRUN echo $shell\nWORKDIR /$BASE\n", "", ""},
		{"FROM a AS b\nENV X=1\nFROM b\nLABEL x=$X\n", "", ""},
		{"FROM a\n# check=skip=UndefinedVar\nUSER u$x\nUSER u$y\n", "", "4: UndefinedVar: Usage of undefined variable '$y'"},
		{"ARG version=1\nFROM a:$version AS b\nFROM a${versoin}\n", "", "3: UndefinedArgInFrom: FROM argument 'versoin' is not declared (did you mean version?)"},
		{"ARG x\nFROM a$x\nFROM --platform=linux/amd$other a AS amd\n", "", "3: InvalidBaseImagePlatform: Base image a was pulled with platform \"linux/amd64\", expected \"linux/amd\" for current build\n3: UndefinedArgInFrom: FROM argument 'other' is not declared"},
		{"ARG base\nFROM a:${base}\n", "", "2: InvalidDefaultArgInFrom: Default value for ARG a:${base} results in empty or invalid base image name"},
		{"ARG base=a\nFROM $base\n", "", ""},
		{"FROM --platform=linux/arm64 a AS arm64\n", "", "1: InvalidBaseImagePlatform: Base image a was pulled with platform \"linux/amd64\", expected \"linux/arm64\" for current build"},
		{"FROM scratch\nCOPY a b/c d/e.x /\nADD f /\n", "a\nb\n*/*.x\nf", "2: CopyIgnoredFile: Attempting to Copy file \"a\" that is excluded by .dockerignore\n2: CopyIgnoredFile: Attempting to Copy file \"b/c\" that is excluded by .dockerignore\n2: CopyIgnoredFile: Attempting to Copy file \"d/e.x\" that is excluded by .dockerignore\n3: CopyIgnoredFile: Attempting to Add file \"f\" that is excluded by .dockerignore"},
		{"FROM scratch AS s\nFROM scratch\nCOPY --from=s a /\nCOPY . g /\nADD https://example.org/a /\n", "a", ""},
		{"FROM scratch\nCOPY . /\n", "**", "2: CopyIgnoredFile: Attempting to Copy file \".\" that is excluded by .dockerignore"},
		{"FROM scratch\nCOPY a/b /\n", "a\n!a/b", ""},
	} {
		var ignore []string
		if tt.ignore != "" {
			ignore = strings.Split(tt.ignore, "\n")
		}
		said, err := lintValues(tt.file, ignore...)
		if got := strings.Join(said, "\n"); err != nil || got != tt.want {
			t.Errorf("%q: %v\n%s\nwant\n%s", tt.file, err, got, tt.want)
		}
	}
	if _, err := lintValues("# check=error=true\nFROM a\nUSER $x\n"); err == nil || !strings.HasPrefix(err.Error(), "Dockerfile:3: UndefinedVar: ") {
		t.Errorf("check=error=true: %v", err)
	}
}
