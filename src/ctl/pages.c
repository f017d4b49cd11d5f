/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/pages.h"

#include "answer/answers.h"
#include "answer/requests.h"
#include "ctl/show.h"
#include "ctl/talk.h"

void
pages_begin(struct pages *p, const struct ctl *c, json_t *question, const char *after)
{
	*p = (struct pages){.c = c, .question = question};
	if (after)
		REQUEST_PUT(question, after, json_string(after));
}

void
pages_limit(struct pages *p, uint64_t n)
{
	REQUEST_PUT(p->question, limit, json_integer((json_int_t)n));
}

json_t *
pages_next(struct pages *p)
{
	json_t *answer = talk_ask_ok(p->c, p->question, &p->rc);
	struct answer_badmail_page page;

	if (!answer)
		return NULL;
	ANSWER_GET(answer, badmail_page, &page);
	p->read += page.read;
	p->end = !*page.next;
	if (p->end)
		REQUEST_DEL(p->question, after);
	else
		REQUEST_PUT(p->question, after, json_string(page.next));
	return answer;
}

const char *
pages_after(const struct pages *p)
{
	return REQUEST_TEXT(p->question, after);
}

int
pages_show(const struct pages *p, json_t *answer, void (*view)(const json_t *answer))
{
	if (p->rc == 0 && p->c->json)
		show_json(answer);
	else if (p->rc == 0)
		view(answer);
	json_decref(answer);
	return p->rc;
}
