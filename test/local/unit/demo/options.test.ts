import { describe, expect, it } from 'vitest'
import { parseOptions } from '../../../../local/demo/options.ts'

const parse = (...args: string[]) => parseOptions(args, '/home/user/here', '/home/user/project')

describe('the options of npm start', () => {
  it('keep the data below .local of the project and use the sample fleet unless told otherwise', () => {
    expect(parse()).toEqual({
      kind: 'start',
      options: { host: 'own', once: false, fleetPath: null, dataFolder: '/home/user/project/.local' },
    })
  })

  it('take relative paths from where the user is, not from where npm runs', () => {
    expect(parse('--once', '--fleet', 'my/fleet.json', '--data', '../data')).toEqual({
      kind: 'start',
      options: { host: 'own', once: true, fleetPath: '/home/user/here/my/fleet.json', dataFolder: '/home/user/data' },
    })
  })

  it('name the host, of two that there are', () => {
    expect(parse('--host', 'func')).toMatchObject({ kind: 'start', options: { host: 'func' } })
    expect(parse('--host', 'own')).toMatchObject({ kind: 'start', options: { host: 'own' } })
  })

  it('ask for help', () => {
    expect(parse('--help').kind).toBe('help')
    expect(parse('-h', '--once').kind).toBe('help')
  })

  it.each([
    { args: ['--onec'], names: '--onec' },
    { args: ['--fleet'], names: '--fleet' },
    { args: ['--fleet', ''], names: '--fleet' },
    { args: ['--data='], names: '--data' },
    { args: ['--once=yes'], names: '--once' },
    { args: ['fleet.json'], names: 'fleet.json' },
    { args: ['--host', 'azure'], names: 'own (the default) or func' },
    { args: ['--host='], names: '--host' },
  ])('are refused with the option by name: $args', ({ args, names }) => {
    const parsed = parse(...args)
    expect(parsed.kind).toBe('wrong')
    expect(parsed.kind === 'wrong' && parsed.message).toContain(names)
  })
})
