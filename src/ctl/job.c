/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "answer/answers.h"
#include "answer/requests.h"
#include "ctl/show.h"
#include "ctl/talk.h"

#define LOOK_US 100000
#define PROGRESS_EVERY 10 /* looks */

static void
print_progress(const struct answer_job *j)
{
	fprintf(stderr,
		"%s%s: %" PRIu64 " mailboxes, %" PRIu64 " messages, %" PRIu64 " octets; %" PRIu64
		" busy, %" PRIu64 " without account, %" PRIu64 " failed%s",
		isatty(2) ? "\r" : "", j->kind, j->mailboxes, j->messages, j->octets, j->busy,
		j->without_account, j->failed, isatty(2) && !j->done ? "" : "\n");
}

/* Until the job has ended: its last report; NULL: none, *ret_rc is the exit code. */
static json_t *
job_watch(const struct ctl *c, uint64_t job, bool progress, int *ret_rc)
{
	for (unsigned looks = 0;; looks++) {
		json_t *request = requests_new(&request_job), *answer;
		struct answer_job j;

		REQUEST_PUT(request, job, json_integer((json_int_t)job));
		answer = talk_ask_ok(c, request, ret_rc);
		json_decref(request);
		if (!answer)
			return NULL;
		ANSWER_GET(answer, job, &j);
		if (progress && (j.done || looks % PROGRESS_EVERY == PROGRESS_EVERY - 1))
			print_progress(&j);
		if (j.done) {
			*ret_rc = j.succeeded ? 0 : 1;
			return answer;
		}
		json_decref(answer);
		usleep(LOOK_US);
	}
}

static json_t *
job_ask(const struct ctl *c, json_t *request, bool progress, int *ret_rc)
{
	json_t *answer = talk_ask_ok(c, request, ret_rc), *last;
	struct answer_started s;

	json_decref(request);
	if (!answer || !ANSWER_GET(answer, started, &s))
		return answer;
	last = job_watch(c, s.job, progress, ret_rc);
	json_decref(answer);
	return last;
}

int
job_run(const struct ctl *c, json_t *request, bool progress, void (*view)(const json_t *answer))
{
	int rc = 1;
	json_t *answer = job_ask(c, request, progress, &rc);
	struct answer_job j;

	if (!answer)
		return rc;
	if (c->json) {
		show_json(answer);
	} else {
		view(answer);
		ANSWER_GET(answer, job, &j);
		if (rc != 0)
			fprintf(stderr, "restantectl: %s\n",
				*j.detail ? j.detail : "not all of it could be done");
	}
	json_decref(answer);
	return rc;
}
