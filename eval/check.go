package eval

import (
	"fmt"
	"regexp"
	"strings"
)

// sections that every report has, whatever is done.
var sections = []string{"answer", "results", "comparisons", "tasks", "sizes", "examples", "epochs", "spread", "facts", "missing", "configuration"}

var (
	// external is anything a page could load or lead to from elsewhere: only places in the page itself and data are allowed.
	external = regexp.MustCompile(`(?i)<(?:link|script|iframe|object|embed|base|img|video|audio|source)\b[^>]*>|(?:\b(?:src|href|srcset|poster|action)\s*=\s*["']?[^#"'\s>][^"'\s>]*)|@import[^;]*|url\([^)]*\)`)
	labels   = regexp.MustCompile(`aria-label="[^"]*"`) // text, whatever it says

	undefined = regexp.MustCompile(`<td[^>]*>(?:NaN|[+-]?Inf)</td>|ZgotmplZ`)
	blank     = regexp.MustCompile(`(?:NaN|Inf|–) (?:%|points)`)

	drawn = regexp.MustCompile(`<svg|<p class="unfinished">`) // or says why not

	tags  = regexp.MustCompile(`(?s)<[^>]*>`)
	style = regexp.MustCompile(`(?s)<style>.*?</style>`)
)

// CheckReport lists what keeps a page from being a whole report: a section or the answer that is missing, a figure without its
// drawing, a results table without a figure or a word on why, a resource or link outside of the page, a number that was never filled in. Nothing
// listed: the page is whole.
func CheckReport(html []byte) []string {
	text := string(html)
	var problems []string
	for _, id := range sections {
		switch part, found := section(text, id); {
		case !found:
			problems = append(problems, "section "+id+" is missing")
		case strings.TrimSpace(tags.ReplaceAllString(part, "")) == "":
			problems = append(problems, "section "+id+" is empty")
		}
	}
	if results, _ := section(text, "results"); strings.Contains(results, "<table") && !drawn.MatchString(results) {
		problems = append(problems, "results have no figure")
	}
	return append(problems, checkPage(text)...)
}

// checkPage lists what keeps any page from being whole, whichever sections it has.
func checkPage(text string) []string {
	var problems []string
	if !strings.HasPrefix(text, "<!DOCTYPE html>") || !strings.HasSuffix(strings.TrimSpace(text), "</html>") {
		problems = append(problems, "page does not run from <!DOCTYPE html> to </html>")
	}
	problems = append(problems, checkFigures(text)...)
	for _, found := range external.FindAllString(markup(text), -1) {
		problems = append(problems, fmt.Sprintf("refers to something outside of the page: %.80s", found))
	}
	answer, _ := section(text, "answer")
	for _, found := range append(undefined.FindAllString(text, -1), blank.FindAllString(answer, -1)...) {
		problems = append(problems, "shows a number that is none: "+found)
	}
	return problems
}

// section is the inner part of the section of that id.
func section(text, id string) (string, bool) {
	_, rest, found := strings.Cut(text, `<section id="`+id+`"`)
	if !found {
		return "", false
	}
	_, rest, _ = strings.Cut(rest, ">")
	inner, _, closed := strings.Cut(rest, "</section>")
	return inner, closed
}

// checkFigures looks into each figure for a drawing and a caption.
func checkFigures(text string) []string {
	var problems []string
	for i, part := range strings.Split(text, "<figure")[1:] {
		part, _, closed := strings.Cut(part, "</figure>")
		switch {
		case !closed:
			problems = append(problems, fmt.Sprintf("figure %d is not closed", i+1))
		case !strings.Contains(part, "<svg") || !strings.Contains(part, "</svg>") || !strings.Contains(part, "<path"):
			problems = append(problems, fmt.Sprintf("figure %d has no drawing", i+1))
		case !strings.Contains(part, "<figcaption>"):
			problems = append(problems, fmt.Sprintf("figure %d has no caption", i+1))
		}
	}
	return problems
}

// markup is the page's tags and style sheet: text that merely speaks of a link is no link.
func markup(text string) string {
	parts := append(tags.FindAllString(text, -1), style.FindAllString(text, -1)...)
	return labels.ReplaceAllString(strings.Join(parts, "\n"), "")
}
