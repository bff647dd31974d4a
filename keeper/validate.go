package keeper

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Validate checks path, mode, TTL and ACL.
func (r *Create) Validate() error {
	if !r.Mode.valid() {
		return &InvalidError{What: "mode", Value: strconv.Itoa(int(r.Mode)), Why: "is not one of the seven"}
	}
	if r.Mode.HasTTL() {
		if r.TTL < time.Millisecond || r.TTL > MaxTTL || r.TTL%time.Millisecond != 0 {
			return &InvalidError{What: "TTL", Value: r.TTL.String(), Why: "must be whole milliseconds from 1 to 2^40-1"}
		}
	} else if r.TTL != 0 {
		return &InvalidError{What: "TTL", Value: r.TTL.String(), Why: "needs a TTL mode, not " + r.Mode.String()}
	}
	if err := ValidateACL(r.ACL); err != nil {
		return err
	}
	if r.Mode.IsSequential() {
		return validateSequential(r.Path)
	}
	if r.Path == "/" {
		return &InvalidError{What: "path", Value: r.Path, Why: "the root always exists"}
	}
	return ValidatePath(r.Path)
}

// Validate checks path and version.
func (r *Delete) Validate() error {
	// The server's own nodes cannot be deleted either, but under a chroot their
	// paths are ordinary ones: that refusal is left to the server.
	if r.Path == "/" {
		return &InvalidError{What: "path", Value: r.Path, Why: "the root cannot be deleted"}
	}
	return validatePathVersion(r.Path, r.Version)
}

// Validate checks the path.
func (r *Get) Validate() error { return ValidatePath(r.Path) }

// Validate checks path and version.
func (r *Set) Validate() error { return validatePathVersion(r.Path, r.Version) }

// Validate checks the path.
func (r *Exists) Validate() error { return ValidatePath(r.Path) }

// Validate checks the path.
func (r *Children) Validate() error { return ValidatePath(r.Path) }

// Validate checks the path.
func (r *GetACL) Validate() error { return ValidatePath(r.Path) }

// Validate checks path, version and ACL.
func (r *SetACL) Validate() error {
	if err := ValidateACL(r.ACL); err != nil {
		return err
	}
	return validatePathVersion(r.Path, r.Version)
}

// Validate checks the path.
func (r *Sync) Validate() error { return ValidatePath(r.Path) }

// Validate checks path and version.
func (r *Check) Validate() error { return validatePathVersion(r.Path, r.Version) }

// Validate checks every op. An empty Multi is legal.
func (r *Multi) Validate() error {
	if len(r.Ops) > math.MaxInt32 {
		return &InvalidError{What: "multi", Why: "has too many ops"}
	}
	for i, op := range r.Ops {
		if isNil(op) {
			return &InvalidError{What: "multi", Why: fmt.Sprintf("op %d is nil", i)}
		}
		if err := op.Validate(); err != nil {
			return fmt.Errorf("op %d, %s: %w", i, op.Name(), err)
		}
	}
	return nil
}

func validatePathVersion(path string, version int32) error {
	if version < AnyVersion {
		return &InvalidError{What: "version", Value: strconv.Itoa(int(version)), Why: "must be -1 (any) or a version"}
	}
	return ValidatePath(path)
}
