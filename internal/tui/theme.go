package tui

import (
	"image/color"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"bcast/internal/show"
)

// theme is how things look. Without colours (NO_COLOR, a plain terminal) the library leaves weight and order.
type theme struct {
	dim, alert, mention, own, accent, bar, current lipgloss.Style
	names                                          []lipgloss.Style
}

func newTheme(dark bool) *theme {
	choose := lipgloss.LightDark(dark)
	of := func(light, dark string) color.Color { return choose(lipgloss.Color(light), lipgloss.Color(dark)) }
	text := func(light, dark string) lipgloss.Style { return lipgloss.NewStyle().Foreground(of(light, dark)) }
	t := &theme{
		dim:     text("243", "245"),
		alert:   text("160", "203").Bold(true),
		mention: text("130", "221").Bold(true),
		own:     text("28", "114"),
		accent:  text("25", "81").Bold(true),
		bar:     lipgloss.NewStyle().Background(of("254", "236")),
		current: lipgloss.NewStyle().Bold(true).Reverse(true),
	}
	for _, pair := range [][2]string{ // readable on their ground; red is kept for what is wrong, yellow for mentions
		{"25", "75"}, {"28", "114"}, {"91", "177"}, {"30", "80"}, {"94", "180"}, {"125", "211"}, {"61", "147"}, {"64", "150"},
	} {
		t.names = append(t.names, text(pair[0], pair[1]))
	}
	return t
}

// name paints a device's name in the colour that follows from its key.
func (t *theme) name(id, name string) string { return t.names[show.Hue(id, len(t.names))].Render(name) }

// fit makes text exactly as wide as it is to be.
func fit(text string, width int) string {
	if width <= 0 {
		return ""
	}
	text = ansi.Truncate(text, width, "…")
	return text + strings.Repeat(" ", max(0, width-lipgloss.Width(text)))
}

// right is the same, against the right edge.
func right(text string, width int) string {
	text = ansi.Truncate(text, width, "…")
	return strings.Repeat(" ", max(0, width-lipgloss.Width(text))) + text
}

// ends puts one text at the left and one at the right edge. If there is no place for both, the right one goes.
func ends(left, end string, width int) string {
	gap := width - lipgloss.Width(left) - lipgloss.Width(end)
	if gap < 1 || end == "" {
		return fit(left, width)
	}
	return left + strings.Repeat(" ", gap) + end
}
