#include "curl_options.h"
