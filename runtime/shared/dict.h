/*
 * dict.h - bytes by bytes. All is the host's.
 *
 * Each change of an entry has a number, its version, larger than all before;
 * 0 is that of a key without an entry. So a value can be set only if nobody
 * has changed it since it was read. And it is known who made it: by a number
 * of the maker's own choice.
 */
#ifndef LP_SHARED_DICT_H
#define LP_SHARED_DICT_H

#include "shared/object.h"

/* As a version: whatever the entry is now. */
#define LP_ANY_VERSION UINT64_MAX

/* What is known of a value besides. */
typedef struct lp_dict_about {
    uint64_t version;
    uint64_t maker;
} lp_dict_about;

/*
 * The value of a key, appended to out, and about it; its version is 0 if
 * there is none. 0 or LP_NOMEM.
 */
int lp_dict_get(lp_object *dict, const void *key, size_t key_length,
                lp_buffer *out, lp_dict_about *about);

/*
 * Set the value of a key if its version is about's; a value without bytes
 * removes the entry. 0; LP_FAILED: the version is another; LP_NOMEM.
 */
int lp_dict_set(lp_object *dict, const void *key, size_t key_length,
                const void *value, size_t length, const lp_dict_about *about);

/*
 * All entries, one after the other, appended to out: two lengths (64), key
 * and value. 0 or LP_NOMEM.
 */
int lp_dict_snapshot(lp_object *dict, lp_buffer *out);

/* ---- for object.c ---- */

size_t lp_dict_size(void);
void lp_dict_init(lp_object *dict);
void lp_dict_clear(lp_object *dict);

#endif
