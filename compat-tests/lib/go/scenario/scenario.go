// Package scenario runs the checks of a client's program and prints their verdicts.
package scenario

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Wait bounds whatever a check waits for.
const Wait = 30 * time.Second

// Bootstrap is the broker's address.
var Bootstrap = os.Getenv("BOOTSTRAP")

type skip struct{ reason string }

func (s skip) Error() string { return s.reason }

// Check is one test.
type Check struct {
	Name string
	Run  func() error
}

// Run runs the checks one after another; one that fails does not stop the next.
func Run(checks []Check) {
	for _, check := range checks {
		started := time.Now()
		err := guarded(check.Run)
		var skipped skip
		switch {
		case err == nil:
			fmt.Printf("PASS %s\n", check.Name)
		case errors.As(err, &skipped):
			fmt.Printf("SKIP %s: %s\n", check.Name, skipped.reason)
		default:
			fmt.Printf("FAIL %s: %s\n", check.Name, strings.Join(strings.Fields(err.Error()), " "))
		}
		fmt.Printf("    %s took %.1f s\n", check.Name, time.Since(started).Seconds())
	}
}

func guarded(run func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return run()
}

// Equal is an error if a value is not the expected one.
func Equal(actual, expected any, what string) error {
	if reflect.DeepEqual(actual, expected) {
		return nil
	}
	return fmt.Errorf("%s is %v, not %v", what, actual, expected)
}

// Until waits for a condition.
func Until(what string, holds func() bool) error {
	for deadline := time.Now().Add(Wait); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("not after %v: %s", Wait, what)
		}
	}
	return nil
}

// Numbers are the decimal texts of from, from+1, and so on below to.
func Numbers(from, to int) []string {
	var texts []string
	for number := from; number < to; number++ {
		texts = append(texts, strconv.Itoa(number))
	}
	return texts
}

// KillBroker ends the harness's broker as a crash would and starts it again.
func KillBroker() error {
	for _, action := range []string{"kill", "start"} {
		script := filepath.Join(os.Getenv("COMPAT"), "lib", "broker.py")
		if output, err := exec.Command("python3", script, action, os.Getenv("BROKER_HOME")).CombinedOutput(); err != nil {
			return fmt.Errorf("%s the broker: %w: %s", action, err, output)
		}
	}
	return nil
}

// NeedsBroker skips a check when the broker is not the harness's own.
func NeedsBroker() error {
	if os.Getenv("BROKER_HOME") == "" {
		return skip{"only a broker of the harness can be killed"}
	}
	return nil
}
