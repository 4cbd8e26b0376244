package store

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/user"
)

func TestHasFailed(t *testing.T) {
	for _, answer := range []error{
		nil, apikey.ErrNotFound, apikey.ErrExists, apikey.ErrDead, user.ErrNotFound, session.ErrNotFound, session.ErrExists, context.Canceled,
	} {
		if answer != nil {
			answer = fmt.Errorf("wrapped: %w", answer)
		}
		if hasFailed(answer) {
			t.Errorf("%v counts as a failure", answer)
		}
	}
	for _, failure := range []error{errors.New("disk full"), context.DeadlineExceeded} {
		if !hasFailed(failure) {
			t.Errorf("%v counts as an answer", failure)
		}
	}
}
