A worker outside CKAN can fetch a run's file, fill the new table part by part with COPY, and have it published, with nothing but the run's own token: no user's key and no database address leaves CKAN.
The contract of the gateway is docs/gateway.md, for whoever writes another worker. `ckan aircan doctor` tells how many requests came with a wrong run token.
Workers cut the rows into parts that fit the option `gateway.max_body_bytes`, also where it is below 2 MB.
The doctor tells of requests with the token of a run that is over, too.
Adding rows by a key to a table of many million rows works behind a proxy with a short time limit: what takes long is done behind the request.
