--- What an editor needs to know of jobs, pages and operations; never loaded by a program.
--- Fields as https://docs.digitalocean.com/reference/api/digitalocean/ has them: each may be
--- missing, and the server may send further ones.
---@meta gradient.types

-- luacheck: no unused

---@class gradient
local gradient = {}

--- Reads an RFC 3339 date-time, as the API writes them. A leap second (:60) counts as the first
--- second of the next minute.
---@param text string
---@return number? seconds  since the epoch: an integer where whole, else a float
---@return string? message  when it is none
function gradient.timestamp(text) end

--- Is this job over, one way or another? A job in a phase that is not known is over when it has a
--- final status, or a time at which it finished.
---@param job gradient.job
---@return boolean
function gradient.is_finished(job) end

--- How a job ended. "partial": it succeeded, but some files were not indexed. "no_changes": it
--- succeeded, and there was nothing to index.
---@param job gradient.job
---@return gradient.outcome? outcome  nil while the job is not over
function gradient.outcome(job) end

---@alias gradient.outcome
---| "succeeded"
---| "partial"
---| "no_changes"
---| "failed"
---| "cancelled"

--- How far a job is.
---@param job gradient.job
---@return gradient.progress
function gradient.progress(job) end

---@class gradient.progress
---@field done number  an integer, unless it is too large for one
---@field total? number  nil as long as it is not known
---@field unit "files"|"bytes"|"data sources"  the first of these in which the job counts

--- The server leaves out what is zero, false, empty or not known yet: a job that has just been
--- started has no counts at all. gradient.progress and gradient.outcome know what that means. A
--- time that was never set may come as 0001-01-01T00:00:00Z.
---@class gradient.job
---@field uuid? string
---@field knowledge_base_uuid? string
---@field data_source_uuids? string[]
---@field phase? gradient.job_phase|string
---@field status? gradient.job_status|string
---@field created_at? string  RFC 3339, see gradient.timestamp
---@field started_at? string
---@field finished_at? string
---@field updated_at? string
---@field completed_datasources? integer
---@field total_datasources? integer
---@field tokens? integer  deprecated
---@field total_items_failed? string  uint64 in decimal
---@field total_items_indexed? string  uint64 in decimal
---@field total_items_skipped? string  uint64 in decimal
---@field total_tokens? string  uint64 in decimal
---@field is_report_available? boolean  has retrieve_signed_url a report?
---@field data_source_jobs? gradient.data_source[]

---@class gradient.data_source
---@field data_source_uuid? string
---@field status? gradient.data_source_status|string
---@field started_at? string
---@field completed_at? string
---@field error_msg? string
---@field error_details? string
---@field failed_item_count? string  uint64 in decimal
---@field indexed_file_count? string  uint64 in decimal
---@field indexed_item_count? string  uint64 in decimal
---@field removed_item_count? string  uint64 in decimal
---@field skipped_item_count? string  uint64 in decimal
---@field total_bytes? string  uint64 in decimal
---@field total_bytes_indexed? string  uint64 in decimal
---@field total_file_count? string  uint64 in decimal

---@class gradient.page
---@field jobs gradient.job[]
---@field links? { pages: gradient.links? }
---@field meta? gradient.meta

---@class gradient.links
---@field first? string
---@field last? string
---@field next? string
---@field previous? string
---@field prev? string

---@class gradient.meta
---@field page? integer
---@field pages? integer
---@field total? integer

---@class gradient.response
---@field status integer
---@field headers table<string, string>  names in lower case
---@field request_id? string
---@field ratelimit { limit: integer?, remaining: integer?, reset: integer? }
---@field attempts integer  requests that were made, this answer's included
---@field elapsed number  seconds from the first request to the whole answer

---@class gradient.list_params
---@field page? integer  from 1
---@field per_page? integer  20 when left out, 200 at the most

---@class gradient.each_params: gradient.list_params
---@field knowledge_base_uuid? string  only the jobs of this knowledge base

---@class gradient.create_params
---@field knowledge_base_uuid string
---@field data_source_uuids? string[]  left out: all data sources are indexed

---@class gradient.iteration_options: gradient.call_options
---@field prefetch? integer  pages on the way while the program works on one; default 1

---@class gradient.indexing_jobs
local indexing_jobs = {}

--- One page of jobs.
---@param params? gradient.list_params
---@param options? gradient.call_options
---@return gradient.page? page
---@return gradient.response|gradient.error response
function indexing_jobs.list(params, options) end

--- Every job of every page, once.
---@param params? gradient.each_params
---@param options? gradient.iteration_options
---@return fun(): gradient.job
function indexing_jobs.each(params, options) end

--- Every page.
---@param params? gradient.list_params
---@param options? gradient.iteration_options
---@return fun(): gradient.page, gradient.response
function indexing_jobs.pages(params, options) end

--- One job.
---@param uuid string
---@param options? gradient.call_options
---@return { job: gradient.job }? answer
---@return gradient.response|gradient.error response
function indexing_jobs.retrieve(uuid, options) end

--- Starts a job.
---@param params gradient.create_params
---@param options? gradient.call_options
---@return { job: gradient.job }? answer
---@return gradient.response|gradient.error response
function indexing_jobs.create(params, options) end

--- Cancels a job.
---@param uuid string
---@param options? gradient.call_options
---@return { job: gradient.job }? answer
---@return gradient.response|gradient.error response
function indexing_jobs.update_cancel(uuid, options) end

--- The data sources of a job, each with its progress.
---@param uuid string
---@param options? gradient.call_options
---@return { indexed_data_sources: gradient.data_source[] }? answer
---@return gradient.response|gradient.error response
function indexing_jobs.retrieve_data_sources(uuid, options) end

--- Where the report of a job can be had.
---@param uuid string
---@param options? gradient.call_options
---@return { signed_url: string }? answer
---@return gradient.response|gradient.error response
function indexing_jobs.retrieve_signed_url(uuid, options) end

--- The latest 15 jobs of a knowledge base; `each{knowledge_base_uuid=}` has them all.
---@param uuid string  of the knowledge base
---@param options? gradient.call_options
---@return gradient.page? page
---@return gradient.response|gradient.error response
function indexing_jobs.list_by_knowledge_base(uuid, options) end

--- Waits until a job is over.
---@param uuid string
---@param settings? gradient.completion_settings
---@param options? gradient.call_options
---@return { job: gradient.job }? answer  when it succeeded, also partially or without changes
---@return gradient.response|gradient.error response
function indexing_jobs.wait_for_completion(uuid, settings, options) end
