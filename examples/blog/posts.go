package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver named "pgx"
	_ "modernc.org/sqlite"             // the driver named "sqlite"

	"github.com/gatewright/gatewright/runtime/problem"
)

// A post is a row. author is the stable id of who wrote it: a user's, or a
// client's with "client:" in front.
type post struct {
	ID         string
	Title      string
	Text       string
	Tags       []string
	Draft      bool
	Author     string
	AuthorName string
	Published  time.Time
}

var errNoPost = errors.New("blog: no such post")

// posts keeps posts in SQLite or PostgreSQL.
type posts struct {
	db *sql.DB
	// tagged is the condition that a post has all tags of the list $1.
	tagged string
}

const tables = `create table if not exists posts (
	id text primary key, title text not null, text text not null, tags text not null,
	draft boolean not null, author text not null, author_name text not null, published bigint not null);
	create table if not exists comments (
	id text primary key, post text not null references posts (id) on delete cascade, text text not null,
	author text not null, author_name text not null, written bigint not null);
	create index if not exists comments_post on comments (post, written)`

// openPosts opens the posts in a file, or in PostgreSQL, which replicas share,
// where the name is a URL.
func openPosts(ctx context.Context, name string) (*posts, error) {
	driver, setup := "sqlite", tables
	tagged := `(select count(distinct value) from json_each(tags) where value in (select value from json_each($1))) =
		(select count(distinct value) from json_each($1))`
	if strings.HasPrefix(name, "postgres://") {
		// Of replicas that start at once one makes the tables.
		driver, setup, tagged = "pgx", "select pg_advisory_xact_lock(20010827);\n"+tables, `tags::jsonb @> $1::jsonb`
	} else {
		name = "file:" + name + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)"
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		return nil, fmt.Errorf("blog: %w", err)
	}
	db.SetMaxOpenConns(16)
	if _, err := db.ExecContext(ctx, setup); err != nil {
		return nil, errors.Join(fmt.Errorf("blog: %w", err), db.Close())
	}
	return &posts{db: db, tagged: tagged}, nil
}

func (p *posts) Close() error { return p.db.Close() }

func newID() string { return strings.ToLower(rand.Text()) }

// list returns published posts with all of tags, newest first.
func (p *posts) list(ctx context.Context, tags []string, limit int) ([]post, error) {
	rows, err := p.db.QueryContext(ctx, `select id, title, text, tags, draft, author, author_name, published
		from posts where not draft and `+p.tagged+` order by published desc, id limit $2`, tagText(tags), limit)
	if err != nil {
		return nil, silent("list", err)
	}
	defer rows.Close()
	var out []post
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, silent("list", err)
	}
	return out, nil
}

func (p *posts) load(ctx context.Context, id string) (post, error) {
	row := p.db.QueryRowContext(ctx, `select id, title, text, tags, draft, author, author_name, published
		from posts where id = $1`, id)
	return scan(row)
}

// save creates or replaces a post.
func (p *posts) save(ctx context.Context, r post) error {
	_, err := p.db.ExecContext(ctx, `insert into posts values ($1, $2, $3, $4, $5, $6, $7, $8)
		on conflict (id) do update set title = excluded.title, text = excluded.text, tags = excluded.tags, draft = excluded.draft`,
		r.ID, r.Title, r.Text, tagText(r.Tags), r.Draft, r.Author, r.AuthorName, r.Published.UnixMilli())
	if err != nil {
		return silent("save", err)
	}
	return nil
}

func (p *posts) delete(ctx context.Context, id string) error {
	if _, err := p.db.ExecContext(ctx, `delete from posts where id = $1`, id); err != nil {
		return silent("delete", err)
	}
	return nil
}

func scan(row interface{ Scan(...any) error }) (post, error) {
	var r post
	var tags string
	var published int64
	err := row.Scan(&r.ID, &r.Title, &r.Text, &tags, &r.Draft, &r.Author, &r.AuthorName, &published)
	if errors.Is(err, sql.ErrNoRows) {
		return post{}, errNoPost
	}
	if err != nil {
		return post{}, silent("load", err)
	}
	r.Published = time.UnixMilli(published).UTC()
	if err := json.Unmarshal([]byte(tags), &r.Tags); err != nil {
		return post{}, fmt.Errorf("blog: tags of %s: %w", r.ID, err)
	}
	return r, nil
}

func tagText(tags []string) string {
	text, err := json.Marshal(append([]string{}, tags...))
	if err != nil {
		return "[]" // a list of strings always encodes, but for invalid UTF-8, which validation refused
	}
	return string(text)
}

// silent answers that the posts cannot be had for now.
func silent(what string, cause error) error {
	e := problem.New(http.StatusServiceUnavailable, "posts_unavailable", "The posts are not available for now")
	e.Header, e.Cause = http.Header{"Retry-After": {"5"}}, fmt.Errorf("blog: %s: %w", what, cause)
	return e
}
