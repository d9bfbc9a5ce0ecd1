package bundle

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// UserAnnotation is the annotation that holds the user of a container's process, as JSON in the
// form of process.user. A runtime can only start processes as the mapped id. So Rewrite moves
// other users from process.user to the annotation, and the agent gives the process the
// emulated ids of this user.
const UserAnnotation = "org.rootlesscontaine.rs.subuidless.user"

// CheckUser returns an error if no process can have the ids of user: 4294967295 is -1, which the
// system calls that set ids take for "unchanged" (setresuid(2)).
func CheckUser(user specs.User) error {
	for _, id := range append([]uint32{user.UID, user.GID}, user.AdditionalGids...) {
		if id == math.MaxUint32 {
			return fmt.Errorf("user: %d is not a valid id: the largest one is %d", id, id-1)
		}
	}
	return nil
}

// rewriteUser moves process.user to UserAnnotation if it has additional groups or differs
// from mapped, the only user and group that is mapped.
func rewriteUser(spec *jsonObject, mapped specs.User) error {
	var process, raw jsonObject
	var user specs.User
	if err := spec.get("process", &process); err != nil {
		return err
	}
	if err := process.get("user", &user); err != nil {
		return fmt.Errorf("process.%w", err)
	}
	if err := CheckUser(user); err != nil {
		return fmt.Errorf("process.%w", err)
	}
	if len(process) == 0 || user.UID == mapped.UID && user.GID == mapped.GID && len(user.AdditionalGids) == 0 {
		return nil
	}
	if err := process.get("user", &raw); err != nil {
		return fmt.Errorf("process.%w", err)
	}
	text, err := encode(raw)
	if err != nil {
		return err
	}
	var annotations jsonObject
	if err := spec.get("annotations", &annotations); err != nil {
		return err
	}
	if err := annotations.set(UserAnnotation, string(text)); err != nil {
		return err
	}
	if err := spec.set("annotations", annotations); err != nil {
		return err
	}
	raw.remove("additionalGids")
	for name, id := range map[string]uint32{"uid": mapped.UID, "gid": mapped.GID} {
		if err := raw.set(name, id); err != nil {
			return err
		}
	}
	if err := process.set("user", raw); err != nil {
		return err
	}
	return spec.set("process", process)
}

// AnnotatedUser returns the user in UserAnnotation, or nil without an error if annotations does
// not have it.
func AnnotatedUser(annotations map[string]string) (*specs.User, error) {
	text, ok := annotations[UserAnnotation]
	if !ok {
		return nil, nil
	}
	user := new(specs.User)
	if err := json.Unmarshal([]byte(text), user); err != nil {
		return nil, fmt.Errorf("annotation %s: %w", UserAnnotation, err)
	}
	return user, nil
}

// User returns process.user of config.json in the directory bundle. It is an error if the file
// cannot be read or has no process.
func User(bundle string) (*specs.User, error) {
	name := filepath.Join(bundle, "config.json")
	text, _, err := Read(name)
	if err != nil {
		return nil, err
	}
	var spec specs.Spec
	if err := json.Unmarshal(text, &spec); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if spec.Process == nil {
		return nil, fmt.Errorf("%s has no process", name)
	}
	return &spec.Process.User, nil
}
