package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	_ "modernc.org/sqlite" // the driver named "sqlite"
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

// posts keeps posts in SQLite.
type posts struct{ db *sql.DB }

func openPosts(ctx context.Context, path string) (*posts, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)")
	if err != nil {
		return nil, fmt.Errorf("blog: %w", err)
	}
	_, err = db.ExecContext(ctx, `create table if not exists posts (
		id text primary key, title text not null, text text not null, tags text not null,
		draft integer not null, author text not null, author_name text not null, published integer not null);
		create table if not exists comments (
		id text primary key, post text not null references posts (id) on delete cascade, text text not null,
		author text not null, author_name text not null, written integer not null);
		create index if not exists comments_post on comments (post, written)`)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("blog: %w", err), db.Close())
	}
	return &posts{db: db}, nil
}

func (p *posts) Close() error { return p.db.Close() }

func newID() string { return strings.ToLower(rand.Text()) }

// list returns published posts with all of tags, newest first.
func (p *posts) list(ctx context.Context, tags []string, limit int) ([]post, error) {
	rows, err := p.db.QueryContext(ctx, `select id, title, text, tags, draft, author, author_name, published
		from posts where draft = 0
		and (select count(distinct value) from json_each(posts.tags) where value in (select value from json_each(?))) =
		    (select count(distinct value) from json_each(?))
		order by published desc, id limit ?`, tagText(tags), tagText(tags), limit)
	if err != nil {
		return nil, fmt.Errorf("blog: list: %w", err)
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
	return out, rows.Err()
}

func (p *posts) load(ctx context.Context, id string) (post, error) {
	row := p.db.QueryRowContext(ctx, `select id, title, text, tags, draft, author, author_name, published
		from posts where id = ?`, id)
	return scan(row)
}

// save creates or replaces a post.
func (p *posts) save(ctx context.Context, r post) error {
	_, err := p.db.ExecContext(ctx, `insert into posts values (?, ?, ?, ?, ?, ?, ?, ?)
		on conflict (id) do update set title = excluded.title, text = excluded.text, tags = excluded.tags, draft = excluded.draft`,
		r.ID, r.Title, r.Text, tagText(r.Tags), r.Draft, r.Author, r.AuthorName, r.Published.UnixMilli())
	if err != nil {
		return fmt.Errorf("blog: save: %w", err)
	}
	return nil
}

func (p *posts) delete(ctx context.Context, id string) error {
	if _, err := p.db.ExecContext(ctx, `delete from posts where id = ?`, id); err != nil {
		return fmt.Errorf("blog: delete: %w", err)
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
		return post{}, fmt.Errorf("blog: %w", err)
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
