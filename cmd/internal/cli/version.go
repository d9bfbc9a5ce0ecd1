package cli

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// BuildVersion returns the version of this program, as the Go linker recorded it:
// "v1.2.3 (commit 0123456789ab, go1.26.8, linux/amd64)".
func BuildVersion() string { return formatVersion(buildInfo(), runtime.GOOS+"/"+runtime.GOARCH) }

// Version is the first word of BuildVersion.
func Version() string { return versionOf(buildInfo()) }

func buildInfo() *debug.BuildInfo {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info
	}
	return &debug.BuildInfo{GoVersion: runtime.Version()}
}

func versionOf(info *debug.BuildInfo) string {
	// "(devel)" if the build had no version control information.
	return cmp.Or(strings.Trim(info.Main.Version, "()"), "unknown")
}

// commitDigits is how much of a commit's hash is shown: as much as Go's pseudo-versions show.
const commitDigits = 12

// formatVersion returns the version line for info without the program's name. The commit
// is omitted if the build recorded none, and has the suffix "-dirty" if the work tree had
// uncommitted changes. Platform is GOOS/GOARCH.
func formatVersion(info *debug.BuildInfo, platform string) string {
	commit, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(len(s.Value), commitDigits)]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	details := []string{info.GoVersion, platform}
	if commit != "" {
		details = append([]string{"commit " + commit + dirty}, details...)
	}
	return fmt.Sprintf("%s (%s)", versionOf(info), strings.Join(details, ", "))
}
