import { app } from '@azure/functions'
import { answerUnknownRoute, unknownRoute } from '../http/unknown-route.ts'

app.http(unknownRoute.name, {
  route: unknownRoute.route,
  methods: [...unknownRoute.methods],
  authLevel: 'function',
  handler: (request) => answerUnknownRoute(request),
})
