package main

import (
	"context"
	"time"

	"github.com/gatewright/gatewright/examples/blog/internal/api"
)

// A comment is what a reader says about a post. Author is as in a post.
type comment struct {
	ID         string
	Post       string
	Text       string
	Author     string
	AuthorName string
	Written    time.Time
}

// public is the comment as the document shows it.
func (c comment) public() api.Comment {
	return api.Comment{ID: c.ID, Text: c.Text, Author: c.AuthorName, Written: c.Written}
}

// comments returns those of a post, the oldest first.
func (p *posts) comments(ctx context.Context, post string) ([]comment, error) {
	rows, err := p.db.QueryContext(ctx, `select id, post, text, author, author_name, written
		from comments where post = $1 order by written, id limit 500`, post)
	if err != nil {
		return nil, silent("comments", err)
	}
	defer rows.Close()
	var out []comment
	for rows.Next() {
		var c comment
		var written int64
		if err := rows.Scan(&c.ID, &c.Post, &c.Text, &c.Author, &c.AuthorName, &written); err != nil {
			return nil, silent("comments", err)
		}
		c.Written = time.UnixMilli(written).UTC()
		out = append(out, c)
	}
	if err := rows.Err(); err != nil {
		return nil, silent("comments", err)
	}
	return out, nil
}

// comment adds c.
func (p *posts) comment(ctx context.Context, c comment) error {
	_, err := p.db.ExecContext(ctx, `insert into comments values ($1, $2, $3, $4, $5, $6)`,
		c.ID, c.Post, c.Text, c.Author, c.AuthorName, c.Written.UnixMilli())
	if err != nil {
		return silent("comment", err)
	}
	return nil
}
