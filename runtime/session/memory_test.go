package session_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/user"
)

var errSilent = errors.New("the store is silent")

// A memory is all stores in memory. It counts calls by name, and is silent
// where it is told to be.
type memory struct {
	mu       sync.Mutex
	users    map[string]user.Record
	sessions map[session.ID]session.Record
	revoked  map[session.Key]time.Time
	until    map[session.Key]time.Time
	locks    map[session.Key]lock
	calls    map[string]int
	silent   map[string]bool // by the name of the method; "" for all
	before   func(name string)
}

type lock struct {
	holder string
	until  time.Time
}

func newMemory() *memory {
	return &memory{
		users:    map[string]user.Record{},
		sessions: map[session.ID]session.Record{},
		revoked:  map[session.Key]time.Time{},
		until:    map[session.Key]time.Time{},
		locks:    map[session.Key]lock{},
		calls:    map[string]int{},
		silent:   map[string]bool{},
	}
}

// call counts a call and locks m where it is to be answered.
func (m *memory) call(ctx context.Context, name string) error {
	m.mu.Lock()
	before := m.before
	m.mu.Unlock()
	if before != nil {
		before(name)
	}
	m.mu.Lock()
	m.calls[name]++
	if m.silent[name] || m.silent[""] {
		m.mu.Unlock()
		return errSilent
	}
	if err := ctx.Err(); err != nil {
		m.mu.Unlock()
		return err
	}
	return nil
}

func (m *memory) count(name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if name != "" {
		return m.calls[name]
	}
	n := 0
	for _, c := range m.calls {
		n += c
	}
	return n
}

func (m *memory) beSilent(names ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.silent = map[string]bool{}
	for _, name := range names {
		m.silent[name] = true
	}
}

func (m *memory) Create(ctx context.Context, rec session.Record) error {
	if err := m.call(ctx, "Create"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if _, ok := m.sessions[rec.ID]; ok {
		return session.ErrExists
	}
	rec.Scopes = maps.Clone(rec.Scopes)
	m.sessions[rec.ID] = rec
	return nil
}

func (m *memory) Load(ctx context.Context, id session.ID) (session.Record, error) {
	if err := m.call(ctx, "Load"); err != nil {
		return session.Record{}, err
	}
	defer m.mu.Unlock()
	rec, ok := m.sessions[id]
	if !ok {
		return session.Record{}, session.ErrNotFound
	}
	return rec, nil
}

func (m *memory) Touch(ctx context.Context, id session.ID, used, idle time.Time) error {
	if err := m.call(ctx, "Touch"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if rec, ok := m.sessions[id]; ok {
		if used.After(rec.Used) {
			rec.Used = used
		}
		if idle.After(rec.Idle) {
			rec.Idle = idle
		}
		m.sessions[id] = rec
	}
	return nil
}

func (m *memory) SaveTokens(ctx context.Context, id session.ID, tokens []byte, scopes map[string][]string) error {
	if err := m.call(ctx, "SaveTokens"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	rec, ok := m.sessions[id]
	if !ok {
		return session.ErrNotFound
	}
	rec.Tokens = tokens
	if scopes != nil {
		rec.Scopes = scopes
	}
	m.sessions[id] = rec
	return nil
}

func (m *memory) Delete(ctx context.Context, match session.Match) (int, error) {
	if err := m.call(ctx, "Delete"); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	if match == (session.Match{}) {
		return 0, errors.New("the zero match")
	}
	n := 0
	for id, rec := range m.sessions {
		if (match.ID == session.ID{} || match.ID == id) && (match.User == "" || match.User == rec.User) &&
			(match.Issuer == "" || match.Issuer == rec.Issuer) && (match.Subject == "" || match.Subject == rec.Subject) &&
			(match.ProviderSession == "" || match.ProviderSession == rec.ProviderSession) && match.Except != id {
			delete(m.sessions, id)
			n++
		}
	}
	return n, nil
}

func (m *memory) List(ctx context.Context, who string, limit int) ([]session.Record, error) {
	if err := m.call(ctx, "List"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var recs []session.Record
	for _, rec := range m.sessions {
		if rec.User == who && len(recs) < limit {
			recs = append(recs, rec)
		}
	}
	slices.SortFunc(recs, func(a, b session.Record) int { return b.Created.Compare(a.Created) })
	return recs, nil
}

func (m *memory) Revoke(ctx context.Context, key session.Key, before, until time.Time) error {
	if err := m.call(ctx, "Revoke"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if before.After(m.revoked[key]) {
		m.revoked[key] = before
	}
	if had, ok := m.until[key]; !ok || until.After(had) {
		m.until[key] = until
	}
	return nil
}

func (m *memory) Revoked(ctx context.Context, keys ...session.Key) (time.Time, error) {
	if err := m.call(ctx, "Revoked"); err != nil {
		return time.Time{}, err
	}
	defer m.mu.Unlock()
	var latest time.Time
	for _, key := range keys {
		if at := m.revoked[key]; at.After(latest) {
			latest = at
		}
	}
	return latest, nil
}

// forget drops revocations whose time is over, as a store may.
func (m *memory) forget(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, until := range m.until {
		if !now.Before(until) {
			delete(m.until, key)
			delete(m.revoked, key)
		}
	}
}

func (m *memory) Lock(ctx context.Context, key session.Key, holder string, until time.Time) (bool, error) {
	if err := m.call(ctx, "Lock"); err != nil {
		return false, err
	}
	defer m.mu.Unlock()
	if l, ok := m.locks[key]; ok && l.holder != holder && time.Now().Before(l.until) {
		return false, nil
	}
	m.locks[key] = lock{holder, until}
	return true, nil
}

func (m *memory) Unlock(ctx context.Context, key session.Key, holder string) error {
	if err := m.call(ctx, "Unlock"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if m.locks[key].holder == holder {
		delete(m.locks, key)
	}
	return nil
}

// people are the users of a memory: both have a method Load.
type people struct{ m *memory }

func (p people) Ensure(context.Context, string, string, user.Profile) (user.Record, error) {
	return user.Record{}, errors.New("not used")
}

func (p people) Load(ctx context.Context, id string) (user.Record, error) {
	if err := p.m.call(ctx, "Users.Load"); err != nil {
		return user.Record{}, err
	}
	defer p.m.mu.Unlock()
	rec, ok := p.m.users[id]
	if !ok {
		return user.Record{}, user.ErrNotFound
	}
	return rec, nil
}

func (p people) SetDisabled(ctx context.Context, id string, disabled bool) error {
	if err := p.m.call(ctx, "SetDisabled"); err != nil {
		return err
	}
	defer p.m.mu.Unlock()
	rec := p.m.users[id]
	rec.Disabled = disabled
	p.m.users[id] = rec
	return nil
}

func (p people) SetScopes(context.Context, string, []string) error { return errors.New("not used") }

func (p people) List(context.Context, string, int) ([]user.Record, error) {
	return nil, errors.New("not used")
}
