// One function for each type of argument that curl_easy_setopt and curl_easy_getinfo take: Swift can't call variadics.
#pragma once
#include <curl/curl.h>

CURLcode poise_curl_set_long(CURL *handle, CURLoption option, long value);
CURLcode poise_curl_set_offset(CURL *handle, CURLoption option, curl_off_t value);
CURLcode poise_curl_set_text(CURL *handle, CURLoption option, const char *value);
CURLcode poise_curl_set_pointer(CURL *handle, CURLoption option, void *value);
CURLcode poise_curl_set_list(CURL *handle, CURLoption option, struct curl_slist *value);
CURLcode poise_curl_set_receiver(CURL *handle, CURLoption option, curl_write_callback value);
CURLcode poise_curl_set_sender(CURL *handle, curl_read_callback value);
// Copies the bytes.
CURLcode poise_curl_set_body(CURL *handle, const void *bytes, curl_off_t count);
CURLcode poise_curl_get_long(CURL *handle, CURLINFO info, long *value);
CURLMcode poise_curl_multi_set_long(CURLM *handle, CURLMoption option, long value);
