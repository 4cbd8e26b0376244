package main

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gatewright/gatewright/examples/blog/internal/api"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/problem"
)

// service is the blog. Who may call what has been decided before a method
// runs; whose post it is, is decided here.
type service struct {
	api.Unimplemented
	posts  *posts
	policy policy
}

func (s *service) ListPosts(ctx context.Context, req api.ListPostsRequest) (api.ListPostsResponse, error) {
	limit := 20
	if req.Limit != nil {
		limit = *req.Limit
	}
	list, err := s.posts.list(ctx, req.Tag, limit)
	if err != nil {
		return nil, err
	}
	body := make([]api.Post, 0, len(list))
	for _, p := range list {
		body = append(body, p.public())
	}
	return api.ListPosts200{Body: body}, nil
}

func (s *service) CreatePost(ctx context.Context, who gate.Principal, req api.CreatePostRequest) (api.CreatePostResponse, error) {
	author, name := authorOf(who)
	p := post{ID: newID(), Author: author, AuthorName: name, Published: time.Now().UTC().Truncate(time.Millisecond)}
	p.rewrite(req.Body)
	if err := s.posts.save(ctx, p); err != nil {
		return nil, err
	}
	return api.CreatePost201{Body: p.public(), Location: "/posts/" + p.ID}, nil
}

func (s *service) GetPost(ctx context.Context, who *gate.Principal, req api.GetPostRequest) (api.GetPostResponse, error) {
	p, err := s.posts.load(ctx, req.Post)
	if err != nil {
		return nil, missing(err)
	}
	if !s.policy.allows(who, read, p) {
		return nil, missing(errNoPost) // to who may not see it a draft is not there
	}
	return api.GetPost200{Body: p.public()}, nil
}

func (s *service) ReplacePost(ctx context.Context, who gate.Principal, req api.ReplacePostRequest) (api.ReplacePostResponse, error) {
	p, err := s.allowed(ctx, who, rewrite, req.Post)
	if err != nil {
		return nil, err
	}
	p.rewrite(req.Body)
	if err := s.posts.save(ctx, p); err != nil {
		return nil, err
	}
	return api.ReplacePost200{Body: p.public()}, nil
}

func (s *service) DeletePost(ctx context.Context, who gate.Principal, req api.DeletePostRequest) (api.DeletePostResponse, error) {
	p, err := s.allowed(ctx, who, remove, req.Post)
	if err != nil {
		return nil, err
	}
	if err := s.posts.delete(ctx, p.ID); err != nil {
		return nil, err
	}
	return api.DeletePost204{}, nil
}

// allowed loads a post that the caller may do something to.
func (s *service) allowed(ctx context.Context, who gate.Principal, do action, id string) (post, error) {
	p, err := s.posts.load(ctx, id)
	switch {
	case err != nil:
		return post{}, missing(err)
	case s.policy.allows(&who, do, p):
		return p, nil
	case !s.policy.allows(&who, read, p):
		return post{}, missing(errNoPost)
	}
	return post{}, problem.New(http.StatusForbidden, "not_yours", "Only the author or an editor may do this")
}

func (s *service) ListComments(ctx context.Context, req api.ListCommentsRequest) (api.ListCommentsResponse, error) {
	p, err := s.posts.load(ctx, req.Post)
	if err != nil {
		return nil, missing(err)
	}
	if !s.policy.allows(nil, read, p) {
		return nil, missing(errNoPost)
	}
	list, err := s.posts.comments(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	body := make([]api.Comment, 0, len(list))
	for _, c := range list {
		body = append(body, c.public())
	}
	return api.ListComments200{Body: body}, nil
}

func (s *service) CreateComment(ctx context.Context, who gate.Principal, req api.CreateCommentRequest) (api.CreateCommentResponse, error) {
	p, err := s.posts.load(ctx, req.Post)
	if err != nil {
		return nil, missing(err)
	}
	if !s.policy.allows(&who, read, p) {
		return nil, missing(errNoPost)
	}
	author, name := authorOf(who)
	c := comment{ID: newID(), Post: p.ID, Text: req.Body.Text, Author: author, AuthorName: name, Written: time.Now().UTC().Truncate(time.Millisecond)}
	if err := s.posts.comment(ctx, c); err != nil {
		return nil, err
	}
	return api.CreateComment201{Body: c.public()}, nil
}

// authorOf is the stable id and the name of who calls. Someone who comes with an
// access token and has never signed in is known by their subject alone.
func authorOf(who gate.Principal) (id, name string) {
	if u, ok := who.User(); ok {
		return u.ID, cmp.Or(u.Name, u.Subject)
	}
	c, _ := who.Client()
	return "client:" + c.ID, c.Name
}

// missing turns errNoPost into its answer.
func missing(err error) error {
	if errors.Is(err, errNoPost) {
		return problem.New(http.StatusNotFound, "no_post", "There is no such post")
	}
	return err
}

// rewrite takes over what an author sent.
func (p *post) rewrite(body api.NewPost) {
	p.Title, p.Text, p.Tags = body.Title, body.Text, body.Tags
	p.Draft = body.Draft != nil && *body.Draft
}

// public is the post as the document shows it.
func (p post) public() api.Post {
	return api.Post{
		ID: p.ID, Title: p.Title, Text: p.Text, Tags: append([]string{}, p.Tags...),
		Draft: p.Draft, Author: p.AuthorName, Published: p.Published,
	}
}
