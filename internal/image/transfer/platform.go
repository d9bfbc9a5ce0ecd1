package transfer

import (
	"fmt"
	"runtime"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// platforms returns the platforms whose images may be used for text, the best one first.
func platforms(text string) ([]v1.Platform, error) {
	if text == "" {
		text = "linux/" + runtime.GOARCH
	}
	p, err := v1.ParsePlatform(text)
	if err != nil || p.OS == "" || p.Architecture == "" {
		return nil, fmt.Errorf("platform %q: must be OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64", text)
	}
	all := []v1.Platform{{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}}
	// The variants that image-spec names for an architecture (image-index.md), and what
	// index writers leave out.
	for _, variant := range map[string][]string{
		"amd64": {"", "v1"}, "arm64": {"", "v8"}, "arm": {"v7", "v6", "v5", ""},
	}[p.Architecture] {
		candidate := v1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: variant}
		if p.Variant != "" && p.Variant != variant && (variant != "" || p.Architecture == "arm") {
			continue
		}
		if !slices.ContainsFunc(all, candidate.Equals) {
			all = append(all, candidate)
		}
	}
	return all, nil
}
