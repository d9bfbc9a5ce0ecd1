package dockerfile

import (
	"slices"
	"strings"
	"testing"
)

// TestLint has Dockerfiles for each rule, and what the linter says about them.
func TestLint(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{"FROM a\nRUN x\nCMD [\"y\"]\n", ""},
		{"FROM a AS One\n", "1: StageNameCasing"},
		{"FROM a as one\n", "1: FromAsCasing"},
		{"FROM a\nMAINTAINER x\n", "2: MaintainerDeprecated"},
		{"FROM a\nRUN x \\\n\n  y\n", "4: NoEmptyContinuation"},
		{"FROM a\nrun x\nCOPY x /\n", "2: ConsistentInstructionCasing"},
		{"from a\nrun x\nCopy x /\n", "3: ConsistentInstructionCasing"},
		{"FROM a AS one\nFROM b AS one\n", "2: DuplicateStageName"},
		{"FROM a AS context\n", "1: ReservedStageName"},
		{"FROM a\nCMD x\n", "2: JSONArgsRecommended"},
		{"FROM a\nSHELL [\"/bin/x\"]\nENTRYPOINT x\n", ""},
		{"FROM a\nWORKDIR x\nWORKDIR y\n", "2: WorkdirRelativePath"},
		{"FROM a\nWORKDIR /x\nWORKDIR y\n", ""},
		{"FROM a\nCMD [\"x\"]\nCMD [\"y\"]\n", "2: MultipleInstructionsDisallowed"},
		{"FROM a\nENV a b\nLABEL c d\n", "2: LegacyKeyValueFormat, 3: LegacyKeyValueFormat"},
		{"FROM --platform=$TARGETPLATFORM a\n", "1: RedundantTargetPlatform"},
		{"FROM --platform=linux/arm64 a\n", "1: FromPlatformFlagConstDisallowed"},
		{"FROM --platform=linux/arm64 a AS for-arm64\n", ""},
		{"FROM a\nARG DB_PASSWORD\nENV TOKEN=1\nENV PUBLIC_KEY=1\n", "2: SecretsUsedInArgOrEnv, 3: SecretsUsedInArgOrEnv"},
		{"FROM a\nEXPOSE 80/TCP\nEXPOSE 1.2.3.4:80:80\n", "2: ExposeProtoCasing, 3: ExposeInvalidFormat"},
		{"# check=skip=JSONArgsRecommended\nFROM a\nCMD x\n", ""},
		{"# check=skip=all\nFROM a as B\nCMD x\n", ""},
	} {
		_, got, err := parse(nil, strings.Split(strings.TrimSuffix(tt.file, "\n"), "\n")...)
		slices.Sort(got)
		if text := strings.Join(got, ", "); err != nil || text != tt.want {
			t.Errorf("%q: %s (%v), want %s", tt.file, text, err, tt.want)
		}
	}
}
