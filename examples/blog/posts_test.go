package main

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/problem"
)

// TestPosts holds both places that posts may be kept in to the same.
func TestPosts(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { testPosts(t, filepath.Join(t.TempDir(), "blog.db")) })
	t.Run("PostgreSQL", func(t *testing.T) { testPosts(t, testenv.Postgres(t).URL()) })
}

func testPosts(t *testing.T, name string) {
	ctx := t.Context()
	p, err := openPosts(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	at := time.Date(2027, 2, 3, 4, 5, 6, 7e6, time.UTC)
	for i, r := range []post{
		{ID: "a", Title: "A", Text: "first", Tags: []string{"x", "y"}, Author: "usr_1", AuthorName: "Ann"},
		{ID: "b", Title: "B", Tags: []string{"x", "x"}, Author: "usr_1", AuthorName: "Ann"},
		{ID: "c", Title: "C", Draft: true, Tags: []string{"x", "y"}},
		{ID: "d", Title: "D'; drop table posts; --"},
	} {
		r.Published = at.Add(time.Duration(i) * time.Minute)
		if err := p.save(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		tags  []string
		limit int
		want  string
	}{
		{nil, 10, "dba"}, {nil, 2, "db"}, {[]string{"x"}, 10, "ba"}, {[]string{"y", "x"}, 10, "a"}, {[]string{"x", "x"}, 10, "ba"}, {[]string{"z"}, 10, ""}, {[]string{`"`}, 10, ""},
	} {
		list, err := p.list(ctx, c.tags, c.limit)
		var got []string
		for _, r := range list {
			got = append(got, r.ID)
		}
		if strings.Join(got, "") != c.want || err != nil {
			t.Errorf("list(%q, %d) = %q, %v, want %q", c.tags, c.limit, got, err, c.want)
		}
	}
	got, err := p.load(ctx, "a")
	if err != nil || got.Title != "A" || got.Text != "first" || got.Draft || !slices.Equal(got.Tags, []string{"x", "y"}) || got.Author != "usr_1" || got.AuthorName != "Ann" || !got.Published.Equal(at) {
		t.Errorf("load(a) = %+v, %v", got, err)
	}
	// Who wrote a post, and when, stays.
	if err := p.save(ctx, post{ID: "a", Title: "A2", Draft: true, Author: "usr_2", AuthorName: "Bob", Published: at.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if got, err = p.load(ctx, "a"); err != nil || got.Title != "A2" || !got.Draft || len(got.Tags) > 0 || got.Author != "usr_1" || !got.Published.Equal(at) {
		t.Errorf("load(a) after it was rewritten = %+v, %v", got, err)
	}
	for i, text := range []string{"second", "first"} {
		if err := p.comment(ctx, comment{ID: text, Post: "b", Text: text, Author: "usr_3", AuthorName: "Cid", Written: at.Add(-time.Duration(i) * time.Minute)}); err != nil {
			t.Fatal(err)
		}
	}
	comments, err := p.comments(ctx, "b")
	if err != nil || len(comments) != 2 || comments[0].Text != "first" || comments[1].AuthorName != "Cid" || !comments[1].Written.Equal(at) {
		t.Errorf("comments(b) = %+v, %v", comments, err)
	}
	if err := p.comment(ctx, comment{ID: "x", Post: "none"}); err == nil {
		t.Error("a comment on a post that is not there was taken")
	}
	if err := p.delete(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.load(ctx, "b"); !errors.Is(err, errNoPost) {
		t.Errorf("load(b) after its end = %v, want errNoPost", err)
	}
	if comments, err = p.comments(ctx, "b"); err != nil || len(comments) != 0 {
		t.Errorf("comments(b) after its end = %+v, %v", comments, err)
	}

	// The tables are found again, and there may be several that open them.
	q, err := openPosts(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if got, err := q.load(ctx, "a"); err != nil || got.Title != "A2" {
		t.Errorf("load(a) by another = %+v, %v", got, err)
	}
}

// Of replicas that start at once on an empty database each finds the tables
// made. One whose database goes away says so, and goes on when it is back.
func TestPostsOfReplicas(t *testing.T) {
	pg := testenv.Postgres(t)
	all := make([]*posts, 8)
	errs := make([]error, len(all))
	var opening sync.WaitGroup
	for i := range all {
		opening.Go(func() { all[i], errs[i] = openPosts(context.Background(), pg.URL()) })
	}
	opening.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		defer p.Close()
	}
	one := all[0]
	pg.Stop()
	_, listed := one.list(t.Context(), nil, 1)
	_, loaded := one.load(t.Context(), "a")
	_, commented := one.comments(t.Context(), "a")
	for what, err := range map[string]error{
		"list": listed, "load": loaded, "comments": commented,
		"save": one.save(t.Context(), post{ID: "a"}), "delete": one.delete(t.Context(), "a"), "comment": one.comment(t.Context(), comment{ID: "a"}),
	} {
		if e, ok := errors.AsType[*problem.Error](err); !ok || e.Status != http.StatusServiceUnavailable || e.Header.Get("Retry-After") == "" {
			t.Errorf("%s without a database = %v, want 503", what, err)
		}
	}
	pg.Start(t)
	if err := one.save(t.Context(), post{ID: "a"}); err != nil {
		t.Errorf("save when it is back = %v", err)
	}
	if _, err := openPosts(t.Context(), "postgres://blog:not-for-logs@127.0.0.1:1/blog?sslmode=disable"); err == nil || strings.Contains(err.Error(), "not-for-logs") {
		t.Errorf("openPosts of no database = %v, want an error without the password", err)
	}
}
