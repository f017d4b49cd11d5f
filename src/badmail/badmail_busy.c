/* SPDX-License-Identifier: Apache-2.0 */
#include "badmail/badmail_busy.h"

#include <pthread.h>

#define AT_ONCE 16

static struct {
	pthread_mutex_t mutex;
	/* below: under mutex */
	struct {
		bool used;
		enum badmail_class cls;
		uint64_t id;
	} at[AT_ONCE];
} busy = {.mutex = PTHREAD_MUTEX_INITIALIZER};

bool
badmail_busy_take(enum badmail_class cls, uint64_t id)
{
	int free_at = -1;

	pthread_mutex_lock(&busy.mutex);
	for (int i = 0; i < AT_ONCE; i++) {
		if (!busy.at[i].used)
			free_at = i;
		else if (busy.at[i].cls == cls && busy.at[i].id == id)
			break;
		if (i == AT_ONCE - 1 && free_at >= 0) {
			busy.at[free_at].used = true;
			busy.at[free_at].cls = cls;
			busy.at[free_at].id = id;
			pthread_mutex_unlock(&busy.mutex);
			return true;
		}
	}
	pthread_mutex_unlock(&busy.mutex);
	return false;
}

bool
badmail_busy_has(enum badmail_class cls, uint64_t id)
{
	bool has = false;

	pthread_mutex_lock(&busy.mutex);
	for (int i = 0; i < AT_ONCE; i++)
		has = has || (busy.at[i].used && busy.at[i].cls == cls && busy.at[i].id == id);
	pthread_mutex_unlock(&busy.mutex);
	return has;
}

void
badmail_busy_end(enum badmail_class cls, uint64_t id)
{
	pthread_mutex_lock(&busy.mutex);
	for (int i = 0; i < AT_ONCE; i++)
		if (busy.at[i].used && busy.at[i].cls == cls && busy.at[i].id == id)
			busy.at[i].used = false;
	pthread_mutex_unlock(&busy.mutex);
}
