package bundle

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// RewriteProcess returns text, a process.json of a runtime's exec, changed so that the process
// starts as root, and the user that it had. Home returns the home directory of a user id, for
// the variable HOME if the process has none. Everything else stays. It is an error if text is
// not valid.
func RewriteProcess(text []byte, home func(uid uint32) string) ([]byte, specs.User, error) {
	var process, raw jsonObject
	var user specs.User
	if err := json.Unmarshal(text, &process); err != nil {
		return nil, user, err
	}
	if err := process.get("user", &user); err != nil {
		return nil, user, err
	}
	if err := CheckUser(user); err != nil {
		return nil, user, err
	}
	if err := process.get("user", &raw); err != nil {
		return nil, user, err
	}
	raw.remove("additionalGids")
	for _, name := range []string{"uid", "gid"} {
		if err := raw.set(name, 0); err != nil {
			return nil, user, err
		}
	}
	if err := process.set("user", raw); err != nil {
		return nil, user, err
	}
	if err := setHome(&process, user.UID, home); err != nil {
		return nil, user, err
	}
	adapted, err := indentLike(process, text)
	return adapted, user, err
}

// setHome sets the variable HOME of a process for the user uid, as the runtimes do if the
// process has none: they would set that of root.
func setHome(process *jsonObject, uid uint32, home func(uid uint32) string) error {
	var env []string
	if err := process.get("env", &env); err != nil {
		return err
	}
	if uid == 0 || slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "HOME=") }) {
		return nil
	}
	return process.set("env", append(env, "HOME="+home(uid)))
}
