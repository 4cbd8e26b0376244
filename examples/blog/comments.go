package main

import (
	"context"
	"fmt"
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
		from comments where post = ? order by written, id limit 500`, post)
	if err != nil {
		return nil, fmt.Errorf("blog: comments: %w", err)
	}
	defer rows.Close()
	var out []comment
	for rows.Next() {
		var c comment
		var written int64
		if err := rows.Scan(&c.ID, &c.Post, &c.Text, &c.Author, &c.AuthorName, &written); err != nil {
			return nil, fmt.Errorf("blog: comments: %w", err)
		}
		c.Written = time.UnixMilli(written).UTC()
		out = append(out, c)
	}
	return out, rows.Err()
}

// comment adds c.
func (p *posts) comment(ctx context.Context, c comment) error {
	_, err := p.db.ExecContext(ctx, `insert into comments values (?, ?, ?, ?, ?, ?)`,
		c.ID, c.Post, c.Text, c.Author, c.AuthorName, c.Written.UnixMilli())
	if err != nil {
		return fmt.Errorf("blog: comment: %w", err)
	}
	return nil
}
