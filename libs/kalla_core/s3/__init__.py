"""S3, and stores that speak its language: what both sources and evidence need of it.

    location   `s3://bucket/key`, taken apart
    troubles   what can go wrong, told from what the client library raises
    retry      which failure is tried again, and when
    bucket     requests to one bucket, each tried as often as the settings say
    ranges     an object as a file: byte ranges, fetched ahead, of one state of the object only
    multipart  a local file into a key that stays invisible until somebody completes it

The client library is botocore, used from threads. It finds credentials as every AWS tool does
(variables, profiles, web identities, roles of containers and machines) and tells failures by
code. Its own retries are off: they end where the body of an answer begins, and an answer that is
cut off is the commonest failure of a slow link. `retry` covers request and body alike.

Nothing here says "source" or "output"; who asks turns an `S3Error` into the error of its own.
"""
