package session

import (
	"context"
	"errors"
	"fmt"
)

// LoadTokens returns the provider's tokens of a session, nil where it has none,
// and the session. The error wraps ErrNotFound where there is no such session
// (any more), and ErrSealed for the sealed kind, which has no tokens.
func (s *Sessions) LoadTokens(ctx context.Context, id ID) ([]byte, Session, error) {
	if s.cfg.Kind == Sealed {
		return nil, Session{}, ErrSealed
	}
	rec, err := s.load(ctx, id)
	if err != nil {
		return nil, Session{}, err
	}
	if err := s.within(rec, s.now()); err != nil {
		return nil, Session{}, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	sess, err := s.person(ctx, rec)
	if errors.Is(err, ErrNone) {
		return nil, Session{}, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if err != nil {
		return nil, Session{}, err
	}
	tokens, err := s.openTokens(rec)
	return tokens, sess, err
}

// SaveTokens replaces the provider's tokens of a session and, unless nil, its
// scopes. The errors are those of LoadTokens.
func (s *Sessions) SaveTokens(ctx context.Context, id ID, tokens []byte, scopes map[string][]string) error {
	if s.cfg.Kind == Sealed {
		return ErrSealed
	}
	defer s.Forget(id)
	if err := s.cfg.Store.SaveTokens(ctx, id, s.sealTokens(id, tokens), scopes); err != nil {
		return fmt.Errorf("session: saving tokens: %w", err)
	}
	return nil
}

// sealTokens encrypts tokens as they lie in the store: those of one session are
// not taken for those of another.
func (s *Sessions) sealTokens(id ID, tokens []byte) []byte {
	if tokens == nil {
		return nil
	}
	return []byte(s.token.Seal(tokens, id.String()))
}

func (s *Sessions) openTokens(rec Record) ([]byte, error) {
	if len(rec.Tokens) == 0 {
		return nil, nil
	}
	tokens, err := s.token.Open(string(rec.Tokens), rec.ID.String())
	if err != nil {
		return nil, fmt.Errorf("session: tokens of session %s: %w", rec.ID, err)
	}
	return tokens, nil
}
