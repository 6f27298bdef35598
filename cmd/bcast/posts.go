package main

import (
	"fmt"
	"strings"
	"time"

	"bcast/internal/control"
	"bcast/internal/show"
)

func (p *printer) post(post control.Post) error { return p.postIn("", post) }

// aside writes a post of a direct room that is not the one on the screen.
func (p *printer) aside(post control.Post) error {
	return p.postIn(p.paint(colorMention, "["+show.Room(post.Room, post.Direct)+"]")+" ", post)
}

// postIn writes a post with where it was said in front.
func (p *printer) postIn(where string, post control.Post) error {
	if p.json {
		return p.object(post)
	}
	p.know(post.From, post.Nick, post.Tagged, post.Verified)
	name := where + p.name(post.From, post.Nick, post.Tag)
	lines := show.Said(post)
	head := fmt.Sprintf("%s %s: ", p.clock(post.Time), name)
	switch post.Kind {
	case "action":
		head = fmt.Sprintf("%s * %s ", p.clock(post.Time), name)
	case "topic":
		head = fmt.Sprintf("%s - %s sets the topic: ", p.clock(post.Time), name)
	case "reply":
		head += p.dim("(to " + p.quoted(post) + ") ")
	}
	if post.Deleted {
		lines = []string{p.dim("(deleted)")}
	}
	if post.Mention {
		lines[0] = p.paint(colorMention, lines[0])
	}
	lines[len(lines)-1] += p.marks(post)
	indent := "\n" + strings.Repeat(" ", cells(uncolored(head)))
	return p.line("%s%s", head, strings.Join(lines, indent))
}

// quoted is what a reply answers: who said it and how it begins, or, if it is not kept here, its id.
func (p *printer) quoted(post control.Post) string {
	if q := post.Quote; q != nil {
		return p.plainNick(q.From, q.Nick) + ": " + show.Clean(q.Text)
	}
	return show.Clean(post.ReplyTo[:min(8, len(post.ReplyTo))])
}

// marks are what there is to know of a post beside its text.
func (p *printer) marks(post control.Post) string {
	text := ""
	if marks := append(show.Reactions(post), show.Marks(post)...); len(marks) > 0 {
		text = p.dim(" [" + strings.Join(marks, ", ") + "]")
	}
	if post.Forked {
		text += p.paint(colorAlert, " ["+show.Forked+"]")
	}
	return text
}

func (p *printer) posts(posts []control.Post) error {
	for i := range posts {
		p.know(posts[i].From, posts[i].Nick, posts[i].Tagged, posts[i].Verified)
	}
	if p.json {
		return objects(p, posts)
	}
	last := p.now()
	for i := range posts {
		if at := posts[i].Time.Local(); at.Format(time.DateOnly) != last.Format(time.DateOnly) {
			last = at
			if err := p.line("%s", p.dim(at.Format("- Monday, 2 January 2006"))); err != nil {
				return err
			}
		}
		if err := p.post(posts[i]); err != nil {
			return err
		}
	}
	return nil
}

// changedPost writes a post as it came, or as somebody changed it.
func (p *printer) changedPost(event control.Event) error {
	post := *event.Post
	what := map[string]string{
		control.EventEdited: "was edited", control.EventDeleted: "was deleted", control.EventReaction: "got a reaction",
	}[event.Type]
	if what == "" {
		return p.post(post)
	}
	if err := p.line("%s %s", p.clock(event.Time), p.dim("- a post of "+show.Clean(post.Nick)+" "+what+":")); err != nil {
		return err
	}
	return p.post(post)
}
